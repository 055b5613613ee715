"""Files from their original hosts: checksummed, resumed where they were interrupted, safe for two processes."""

import logging
import os
import re
import time
from pathlib import Path

from deepul_utils.errors import KitError

CACHE = Path(__file__).resolve().parents[2] / "data" / "cache"
ATTEMPTS = 5  # in one call; what has arrived is kept for the next
PAUSE = 1.0  # seconds between them
SILENCE = (10, 30)  # seconds to wait for a connection, and for the next bytes
CHUNK = 2**16  # bytes at once
LARGEST = 2**28  # bytes: no archive of ours is larger, so nothing fills the disk


def fetch(name: str, base: str, files: dict[str, str], alternative: str) -> dict[str, Path]:
    """The files of the set `name`, {file name: checksum}, downloaded where they are not here yet: {file name: path}.

    base: address of their folder. The environment variable DEEPUL_DATA_MIRROR names another host, which has them
    at `<mirror>/<name>/<file name>`; DEEPUL_DATA_CACHE another place to keep them than data/cache.
    Raises KitError, which names `alternative`, where a file cannot be had or is not the original.
    """
    import requests

    mirror = os.environ.get("DEEPUL_DATA_MIRROR")
    base = f"{mirror.rstrip('/')}/{name}" if mirror else base
    folder = Path(os.environ.get("DEEPUL_DATA_CACHE") or CACHE) / name
    try:
        return {file: _fetch(f"{base}/{file}", checksum, folder / file) for file, checksum in files.items()}
    except (requests.RequestException, OSError, ValueError) as error:
        raise KitError(
            f"{name} could not be downloaded from {base} ({_reason(error)}).{_progress_of(folder)} "
            f'Built in and offline: images.get("{alternative}").'
        ) from None


def _fetch(url: str, checksum: str, path: Path) -> Path:
    """One file, from the cache or from `url`. A second process waits for the first, and then finds it there."""
    import pooch
    from filelock import FileLock

    if path.exists() and pooch.hashes.hash_matches(str(path), checksum):
        return path  # also from a folder that cannot be written
    path.parent.mkdir(parents=True, exist_ok=True)
    log = pooch.get_logger()
    before = log.level
    with FileLock(f"{path}.lock"):
        log.setLevel(logging.ERROR)  # it writes to stderr, for which nbgrader would take all points
        try:
            pooch.retrieve(url, checksum, fname=path.name, path=path.parent, downloader=_download)
        finally:
            log.setLevel(before)
    return path


def _download(url: str, output: str, _pooch) -> None:
    """pooch's downloader: `url` to the file `output`, by way of <name>.part, which outlives an interruption.

    pooch then compares the checksum of `output`, and moves it to its place only if it is right.
    """
    import requests

    part = Path(output).with_name(url.rsplit("/", 1)[1] + ".part")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _append(url, part)
            break
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
            if attempt == ATTEMPTS:
                raise
            time.sleep(PAUSE)
    os.replace(part, output)


def _append(url: str, part: Path) -> None:
    """The rest of `url` after what `part` has; all of it from a server that cannot send a part.

    Raises requests.RequestException where less arrives than was announced, and OSError for more than LARGEST.
    """
    import requests

    here = part.stat().st_size if part.exists() else 0
    # identity: the archive's own bytes, whatever the server could make of them on the way
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={here}-"} if here else {})
    with requests.get(url, headers=headers, stream=True, timeout=SILENCE) as response:
        if response.status_code == 416 and _total(response) == here:
            return  # it was all here
        if response.status_code == 416:
            part.unlink()  # longer than the file itself: begin again
            raise requests.ConnectionError("the part that was here does not fit")
        response.raise_for_status()
        if response.status_code != 206 or _start(response) != here:
            here = 0
        with open(part, "ab" if here else "wb") as file:
            _copy(response, file, here, _total(response))


def _copy(response, file, here: int, total: int | None) -> None:
    from deepul_utils.training import progress

    name = response.url.rsplit("/", 1)[1]
    with progress(None, name, total=total, initial=here, unit="B", unit_scale=True, unit_divisor=1000) as bar:
        for chunk in response.iter_content(CHUNK):
            file.write(chunk)
            here += len(chunk)
            bar.update(len(chunk))
            if here > LARGEST:
                file.truncate(0)
                raise OSError(f"more than {LARGEST // 10**6} MB arrived")


def _start(response) -> int | None:
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _total(response) -> int | None:
    """The size of the whole file, as far as the server says."""
    match = re.search(r"/(\d+)$", response.headers.get("Content-Range", ""))
    if match:
        return int(match[1])
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() and response.status_code == 200 else None


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.HTTPError):
        return f"the server says {error.response.status_code} {error.response.reason}"  # type: ignore[union-attr]  # it did
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return "no connection, or it broke off"
    if isinstance(error, ValueError) and "hash" in str(error):
        return "what arrived is not the original file: its checksum differs"
    return f"{type(error).__name__}: {error}"


def _progress_of(folder: Path) -> str:
    """What an interrupted download has kept, in words."""
    kept = sum(part.stat().st_size for part in folder.glob("*.part"))
    return f" Ask again to go on: {kept / 1e6:.2f} MB are kept." if kept else ""
