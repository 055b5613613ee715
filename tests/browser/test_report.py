"""What a TA sees: the report in a real browser, of a small class and of a large one, opened as files."""

import time

import pytest

from autograder.course import Course
from autograder.grading import report
from autograder.grading.copies import Alike
from tests.autograder import classes
from tests.browser.test_notebook import picture

pytestmark = [pytest.mark.slow, pytest.mark.alone]  # how fast a page opens is measured
LARGE = 300
MOST_BYTES = 15 * 10**6
OPENS = 2.0  # seconds, on two cores that nobody else uses; under load it is measured again


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """{size: index.html} of a small and a large class; each student's pictures are files of their own."""
    made = {}
    for size in (6, LARGE):
        root = tmp_path_factory.mktemp(f"class-{size}")
        results = classes.made(size)
        alike = [Alike("code", (results[0].student, results[1].student), "92% of the code is the same", 0.92)]
        page = report.Page(root / "report", "hw1", alike, Course.at(root), size)
        for result in results:
            page.add(result)
        made[size] = page.write()
    return made


@pytest.fixture
def opened(browser, pages):
    """Opens a page of a class: opened(size, path, width, scheme). Whatever goes wrong in it fails the test."""
    errors, every = [], []

    def open_page(size: int = 6, path: str = "index.html", width: int = 1200, scheme: str = "light"):
        page = browser.new_page(viewport={"width": width, "height": 1250}, color_scheme=scheme)
        every.append(page)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.on("request", lambda r: errors.append(r.url) if not r.url.startswith("file:") else None)
        page.goto((pages[size].parent / path).as_uri())
        return page

    yield open_page
    for page in every:
        page.close()
    assert errors == []


def names(page) -> list[str]:
    """The students who are shown, from top to bottom."""
    return page.locator("#students tbody tr:visible td:first-child").all_inner_texts()


def follow(page, link) -> None:
    """Clicks a link that filters the table, and waits until the page has done so: it hears of its address later."""
    link.click()
    deadline = time.monotonic() + 30
    while page.input_value("#only") != page.evaluate("decodeURIComponent(location.hash.slice(1))"):
        assert time.monotonic() < deadline, "the table does not follow the address"
        time.sleep(0.02)


def test_three_hundred_students_are_small_and_open_at_once(opened, pages):
    folder = pages[LARGE].parent
    assert sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) < MOST_BYTES
    took = []
    for _ in range(4):
        began = time.monotonic()
        page = opened(LARGE, width=1100)
        assert page.locator("#students tbody tr").count() == LARGE
        took.append(time.monotonic() - began)
        if took[-1] < OPENS:
            break
    assert min(took) < OPENS, took
    assert page.inner_text("#count") == f"{LARGE} students"
    picture(page, "report.png")


def test_students_are_searched_in_every_script(opened):
    page = opened(LARGE)
    for words, found in (
        ("小龙", "李小龙"),
        ("angstrom", "Émile Ångström"),
        ("ВЛАД", "Владимир"),
        ("#1?", "100% #1?.png"),
    ):
        page.fill("#search", words)
        assert names(page) == [found]
    page.fill("#search", "student-1")
    assert len(names(page)) == 100
    assert page.inner_text("#count") == f"100 of {LARGE} students"
    page.fill("#search", "")
    assert len(names(page)) == LARGE


def test_every_column_sorts_both_ways(opened):
    page = opened(LARGE)
    header = page.locator("#students th", has_text="total")
    header.locator("button").click()
    totals = [float(t) for t in page.locator("#students tbody b").all_inner_texts()]
    assert totals == sorted(totals, reverse=True)
    assert header.get_attribute("aria-sort") == "descending"
    header.locator("button").click()
    totals = [float(t) for t in page.locator("#students tbody b").all_inner_texts()]
    assert totals == sorted(totals)
    assert names(page)[0] == "student-unread", "who was not graded comes first, or last"
    page.locator("#students th", has_text="Student").locator("button").click()
    assert names(page).index("student-010") < names(page).index("student-200")
    checks = page.locator("table.sorted").first
    checks.locator("th", has_text="discriminates").locator("button").click()
    shown = [t.replace("−", "-") for t in checks.locator("tbody td:last-child").all_inner_texts()]
    numbers = [float(t) for t in shown if t != "–"]
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) > 30


def test_from_a_check_to_a_student_to_the_line(opened):
    page = opened(LARGE)
    row = page.locator("table.sorted").first.locator("tbody tr", has_text="Samples follow the conditionals").first
    passed, of = row.locator("td").nth(4).inner_text().split(" / ")
    follow(page, row.locator("a"))
    assert len(names(page)) == int(of) - int(passed)
    assert page.locator("#only option:checked").inner_text().endswith("Samples follow the conditionals")
    page.locator("#students tbody tr:visible a").first.click()
    page.wait_for_url("**/students/*.html")
    lost = page.locator("tr.failed", has_text="deepul show hw1")
    assert lost.first.is_visible()
    assert page.locator("tr i.meant").first.inner_text().strip().startswith("chosen = self.logits")
    code = page.locator("details.part", has_text="The student’s code").first
    assert not code.locator("pre").first.is_visible()
    code.locator("summary").click()
    assert "class MADE" in code.locator("pre").first.inner_text()
    page.go_back()
    assert len(names(page)) == int(of) - int(passed), "the filter stands in the address"
    page.select_option("#only", "")
    assert len(names(page)) == LARGE


def test_filters_of_the_cards_and_the_bars(opened):
    page = opened(LARGE)
    follow(page, page.get_by_role("link", name="not graded"))
    assert names(page) == ["student-unread"]
    page.evaluate("scrollTo(0, 0)")
    bar = page.locator(".hist a").nth(9)
    count = int(bar.inner_text())
    follow(page, bar)
    assert len(names(page)) == count
    page.evaluate("scrollTo(0, 0)")
    follow(page, page.get_by_role("link", name="with something to look at"))
    assert 0 < len(names(page)) < LARGE / 4


def test_pictures_stand_side_by_side_and_lead_to_their_students(opened):
    page = opened()
    shown = page.locator(".gallery").nth(1).locator("a")
    first, second = shown.nth(0).bounding_box(), shown.nth(1).bounding_box()
    assert first["y"] == second["y"]
    shown.first.scroll_into_view_if_needed()
    for place in range(2):  # the page allows no script but its own, so that nothing of Playwright's waits inside
        assert shown.nth(place).locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 50
    shown.first.click()
    page.wait_for_url("**/students/*.html#made")
    page.locator("#made img").scroll_into_view_if_needed()
    assert page.locator("#made img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 50


def test_names_and_words_of_students_do_nothing(opened):
    page = opened()
    for name in names(page):
        page.locator("#students a", has_text=name).click()
        page.wait_for_url("**/students/*.html")
        assert page.inner_text("h1") == name
        page.go_back()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [640, 1200])
@pytest.mark.parametrize("path", ["index.html", "students/ada.html"])
def test_it_reads_well_narrow_and_wide_light_and_dark(opened, scheme, width, path):
    page = opened(6, path, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing is cut off at the side"
    ink, paper = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    brightness = [sum(map(int, colour.removeprefix("rgb(").rstrip(")").split(", "))) for colour in (ink, paper)]
    assert (brightness[0] > brightness[1]) == (scheme == "dark")
    assert abs(brightness[0] - brightness[1]) > 400
