(() => {
  // Without this script, all the text is still available: in titles, and in the table.
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  document.body.append(tip);
  const number = (x) => (x === null ? "not finite or not known" : String(x));
  const count = (x) => Math.round(x).toLocaleString("en");
  const show = (words, event) => {
    tip.textContent = words;
    tip.hidden = false;
    const { offsetWidth: w, offsetHeight: h } = tip;
    const x = event.clientX + 16 + w > innerWidth ? event.clientX - 12 - w : event.clientX + 16;
    const y = event.clientY + 16 + h > innerHeight ? event.clientY - 12 - h : event.clientY + 16;
    tip.style.transform = `translate(${Math.max(4, x)}px,${Math.max(4, y)}px)`;
  };
  for (const svg of document.querySelectorAll("svg[data-hover]")) {
    const data = JSON.parse(svg.dataset.hover);
    // Otherwise the titles would appear a second time, later.
    for (const title of svg.querySelectorAll("title")) {
      const owner = title.parentNode;
      owner.setAttribute("aria-label", title.textContent);
      if (owner !== svg) owner.dataset.words = title.textContent;
      title.remove();
    }
    for (const line of data.lines || []) {
      let sum = 0;
      if (data.whole) line.x = line.x.map((d) => (sum += d));
    }
    const [left, right, top, bottom] = data.box;
    const cross = document.createElementNS("http://www.w3.org/2000/svg", "path");
    cross.setAttribute("class", "cross");
    svg.append(cross);
    const hide = () => {
      tip.hidden = true;
      cross.setAttribute("d", "");
    };
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const scale = svg.viewBox.baseVal.width / box.width;
      const x = (event.clientX - box.left) * scale;
      const y = (event.clientY - box.top) * scale;
      const mark = event.target.classList.contains("mark") && event.target.dataset.words;
      if (mark) return show(mark, event);
      if (x < left || x > right || y < top || y > bottom) {
        const words = event.target.dataset.words;
        cross.setAttribute("d", "");
        return words ? show(words, event) : hide();
      }
      const share = (x - left) / (right - left);
      const step = data.log ? data.a * (data.b / data.a) ** share : data.a + share * (data.b - data.a);
      const place = (x) => `${data.of} ${data.whole ? count(x) : x}`.trim();
      cross.setAttribute("d", `M${x.toFixed(1)} ${top}V${bottom}`);
      if (data.rows) {
        const row = data.rows[Math.min(data.rows.length - 1, Math.floor((y - top) / data.tall))];
        const value = row.y[Math.min(row.y.length - 1, Math.floor(share * row.y.length))];
        return show(`${row.n}\n${place(step)}: ${number(value)}`, event);
      }
      const far = (x, y) => Math.abs(data.log ? Math.log(x / y) : x - y);
      const words = [];
      for (const line of data.lines) {
        let near = 0;
        line.x.forEach((at, k) => {
          if (far(at, step) < far(line.x[near], step)) near = k;
        });
        const level = line.y.length === 2 && line.y[0] === line.y[1];
        if (level) words.push(line.n);
        else if (line.x.length) words.push(`${line.n}: ${number(line.y[near])}  (${place(line.x[near])})`);
      }
      show(words.join("\n"), event);
    });
  }
})();
