"""Grading what students hand in: untrusted notebooks, in a sandbox."""

import sys

# jsonschema, which nbformat imports, would have rfc3987_syntax build its parsers, to judge addresses that no notebook
# has: longer than to import torch, and in every process. Without it, it leaves that judgement out.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # None: no import finds it
