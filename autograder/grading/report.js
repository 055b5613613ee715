"use strict";
// Sorting by a click on a header, searching, and filtering; what is filtered stands in the address: #lost=3.
const value = (row, column) => {
  const cell = row.cells[column];
  return cell.dataset.v === undefined ? cell.textContent.trim().toLowerCase() : Number(cell.dataset.v);
};
for (const table of document.querySelectorAll("table.sorted"))
  table.tHead.addEventListener("click", event => {
    const button = event.target.closest("button");
    if (!button) return;
    const header = button.parentElement, column = header.cellIndex, rows = [...table.tBodies[0].rows];
    const isText = typeof value(rows[0], column) === "string", before = header.ariaSort;
    const down = before === null || before === "none" ? !isText : before === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    const order = (a, b) => isText ? a.localeCompare(b, undefined, {numeric: true}) : a - b;
    rows.map(row => [value(row, column), row]).sort((a, b) => (down ? -1 : 1) * order(a[0], b[0]))
      .forEach(([, row]) => table.tBodies[0].append(row));
  });

const search = document.getElementById("search"), only = document.getElementById("only");
const rows = [...document.getElementById("students").tBodies[0].rows];
const plain = text => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().trim();  // without accents
const names = rows.map(row => plain(row.cells[0].textContent));
const holds = {
  only: (row, what) => row.dataset.is.split(" ").includes(what),
  lost: (row, what) => row.dataset.lost.includes(` ${what} `),
  tenth: (row, what) => row.dataset.tenth === what,
};
function show() {
  const [kind, what] = only.value.split("="), words = plain(search.value);
  let shown = 0;
  rows.forEach((row, k) => {
    row.hidden = !names[k].includes(words) || Boolean(kind) && !holds[kind](row, what);
    shown += !row.hidden;
  });
  document.getElementById("count").textContent = (shown === rows.length ? "" : `${shown} of `) + `${rows.length} student${rows.length === 1 ? "" : "s"}`;
}
function follow() {
  const wanted = decodeURIComponent(location.hash.slice(1));
  if ([...only.options].some(option => option.value === wanted && wanted)) {
    only.value = wanted;
    search.value = "";
    document.getElementById("class").scrollIntoView();
  }
  show();
}
search.addEventListener("input", show);
only.addEventListener("change", () => { history.replaceState(null, "", `#${only.value || "class"}`); show(); });
addEventListener("hashchange", follow);
follow();
