"use strict";
// Sorts by a click on a column's name, searches in all rows, and shows 25 rows at a time.
for (const box of document.querySelectorAll(".sorted")) {
  const body = box.querySelector("tbody"), search = box.querySelector("input"), status = box.querySelector("[role=status]");
  const [back, on] = box.querySelectorAll(".controls button"), heads = [...box.querySelectorAll("thead th")];
  const rows = [...body.rows].map(row => ({ row, text: row.textContent.toLowerCase() }));
  const pageRows = 25, count = number => number.toLocaleString("en");
  let shown = rows, first = 0;
  const key = (row, column) => row.cells[column].dataset.k ?? row.cells[column].textContent;
  // On a narrow screen each row is a card, whose cells carry the names of their columns.
  const names = heads.map(head => head.textContent);
  const named = row => { [...row.cells].slice(1).forEach((cell, i) => { cell.dataset.label = names[i + 1]; }); return row; };
  const draw = () => {
    body.replaceChildren(...shown.slice(first, first + pageRows).map(r => named(r.row)));
    back.disabled = first === 0;
    on.disabled = first + pageRows >= shown.length;
    const last = Math.min(first + pageRows, shown.length);
    status.textContent = shown.length ? `rows ${count(first + 1)} to ${count(last)} of ${count(shown.length)}` : "none found";
  };
  const find = () => {
    const wanted = search.value.trim().toLowerCase();
    shown = wanted ? rows.filter(r => r.text.includes(wanted)) : rows.slice();
    first = 0;
    draw();
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach(h => h.setAttribute("aria-sort", h === head ? (down ? "descending" : "ascending") : "none"));
      const numeric = rows.every(r => key(r.row, column) === "" || !Number.isNaN(Number(key(r.row, column))));
      rows.sort((a, b) => {
        const p = key(a.row, column), q = key(b.row, column);
        // Empty cells come last either way.
        if (p === "" || q === "") return (p === "") - (q === "");
        const order = numeric ? Number(p) - Number(q) : p.localeCompare(q, "en", { numeric: true });
        return down ? -order : order;
      });
      find();
    });
  });
  search.addEventListener("input", find);
  back.addEventListener("click", () => { first = Math.max(0, first - pageRows); draw(); });
  on.addEventListener("click", () => { first += pageRows; draw(); });
  box.querySelector(".controls").hidden = false;
  draw();
}
