// A heat map on a canvas: rows and columns of values, a cell that can be pointed at or gone to by keyboard, a table
// with the same behind it, and a picture of it for a file.

import { html, useEffect, useMemo, useRef, useState } from "../../../vendor/view.js";
import { count, fixed, token } from "../../format.js";
import { Trouble } from "../../parts/feedback.js";
import { useAction, useSize, useTheme } from "../../parts/hooks.js";
import { endsOf, scaleOf } from "./colours.js";
import { BAND, drawMap, drawStrip, layoutOf, LEFT, paint, pictureOf } from "./heat_drawing.js";

/** What a table shows at most: with more of them a browser is busy for many seconds. */
const MOST_TOKENS = 500;
const MOST_ROWS = 130;

/**
 * `map` has `values` [row][column], `rows` and `columns` as words, `segments` over the columns, a `unit`, and `names`
 * of the rows where they are tokens. It is drawn anew whenever it is another one, so a page keeps it with `useMemo`.
 * Rows are drawn with the last one at the top, as layers are thought of; `topDown` turns that round.
 * `about` and `file` are what a saved picture says below its `name`, and is called; `numbers` is where the API gives
 * all values.
 */
export function HeatMap({ map, both = false, topDown = false, name, about, file, numbers }) {
  const { values, rows, columns, unit } = map;
  const frame = useRef(null);
  const canvas = useRef(null);
  const { width } = useSize(frame);
  const theme = useTheme();
  const [pointed, setPointed] = useState(null);
  // A map can be another one by now, with fewer rows or columns than the one that was pointed at.
  const at = pointed && pointed.column < columns.length && pointed.row < rows.length ? pointed : null;
  const scale = useMemo(() => scaleOf(values, { both }), [map, both]);
  const layout = useMemo(() => layoutOf(map, { room: width, topDown }), [map, width, topDown]);
  const table = useMemo(() => html`<${Table} map=${map} name=${name} numbers=${numbers} />`, [map, name, numbers]);
  const { cell, row, turned } = layout;

  useEffect(() => {
    if (!width) return;
    paint(canvas.current, layout, window.devicePixelRatio || 1, (context) => drawMap(context, map, layout, scale));
  }, [map, layout, scale, theme, width]);

  const point = (event) => {
    const box = canvas.current.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left - LEFT) / cell);
    const line = Math.floor((event.clientY - box.top - BAND) / row);
    const inside = column >= 0 && column < columns.length && line >= 0 && line < rows.length;
    const to = inside ? { column, row: turned(line) } : null;
    if (to?.column !== at?.column || to?.row !== at?.row) setPointed(to);
  };
  const press = (event) => {
    const up = topDown ? -1 : 1;
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, up], ArrowDown: [0, -up] };
    const step = steps[event.key];
    if (!step || !columns.length || !rows.length) return;
    event.preventDefault();
    const from = at ?? { column: 0, row: 0 };
    const inside = (value, length) => Math.max(0, Math.min(length - 1, value));
    const to = { column: inside(from.column + step[0], columns.length), row: inside(from.row + step[1], rows.length) };
    setPointed(to);
    const scroller = frame.current;
    const x = LEFT + to.column * cell;
    const seen = x >= scroller.scrollLeft + LEFT && x <= scroller.scrollLeft + scroller.clientWidth - cell;
    if (!seen) scroller.scrollLeft = x - scroller.clientWidth / 2;
  };
  return html`<figure class="heat">
    <div class="heat-frame" ref=${frame} tabindex="0" role="application" aria-roledescription="heat map"
      aria-label=${`${name}: ${rows.length} rows and ${columns.length} columns. The arrow keys go from cell to cell.`}
      onKeyDown=${press}>
      <div class="heat-layers" style=${{ width: `${layout.width}px`, height: `${layout.height}px` }}>
        <canvas ref=${canvas} aria-hidden="true" onPointerMove=${point}
          onPointerLeave=${() => setPointed(null)}></canvas>
        ${at ? html`<${Cursor} at=${at} layout=${layout} rows=${rows} />` : null}
      </div>
    </div>
    <figcaption class="row spaced small">
      <span class="reading" role="status">${at
        ? reading(map, at)
        : html`<span class="soft">Point at a cell, or go to it with the arrow keys.</span>`}</span>
      <${Scale} scale=${scale} unit=${unit} />
      <${Save} name=${name} file=${file}
        picture=${() => pictureOf(map, { title: name, about, scale, topDown })} />
    </figcaption>
    ${table}
  </figure>`;
}

/** Where somebody points: above the canvas, so that nothing is drawn anew as the pointer moves. */
function Cursor({ at, layout: { cell, row, turned }, rows }) {
  const left = LEFT + at.column * cell;
  const place = (top, height) => ({
    left: `${left}px`, top: `${top}px`, width: `${cell}px`, height: `${height}px`,
  });
  return html`<span class="heat-column" aria-hidden="true" style=${place(BAND, row * rows.length)}></span>
    <span class="heat-cell" aria-hidden="true" style=${place(BAND + turned(at.row) * row, row)}></span>`;
}

function reading({ values, rows, columns, unit, segments = [] }, { row, column }) {
  const value = values[row]?.[column];
  const within = segments.find(({ start, stop }) => column >= start && column < stop)?.name;
  return html`<strong class="mono" dir="auto">${token(columns[column])}</strong>
    <span class="soft"> ${within ? `${within} · ` : ""}column ${column} · </span>${rows[row]}
    <span class="soft"> · </span>${known(value) ? `${fixed(value, 3)} ${unit}` : "no value"}`;
}

const known = (value) => value !== null && value !== undefined;

function Scale({ scale, unit }) {
  const strip = useRef(null);
  useEffect(() => drawStrip(strip.current.getContext("2d"), scale), [scale]);
  const [low, high] = endsOf(scale);
  return html`<span class="scale">
    <span class="number">${low}</span>
    <canvas ref=${strip} width="120" height="10" aria-hidden="true"></canvas>
    <span class="number">${high} ${unit}</span>
  </span>`;
}

/** Saves the map as a file. It is drawn here: the server draws pictures only where matplotlib is installed. */
function Save({ name, file, picture }) {
  const save = useAction(async () => {
    const blob = await new Promise((resolve) => picture().toBlob(resolve));
    if (!blob) throw new Error("The map is too large to be drawn as one picture.");
    const link = document.createElement("a");
    Object.assign(link, { href: URL.createObjectURL(blob), download: `${file}.png` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });
  return html`<button class="quiet" disabled=${save.busy} onClick=${() => save.run()}>
      Save as PNG<span class="unseen">: ${name}</span></button>
    <${Trouble} problem=${save.problem} />`;
}

/** The numbers themselves, made only when they are asked for. */
function Table({ map, name, numbers }) {
  const [open, setOpen] = useState(false);
  return html`<details onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary class="small">The same as a table</summary>
    ${open ? html`<${Numbers} map=${map} name=${name} numbers=${numbers} />` : null}
  </details>`;
}

function Numbers({ map, name, numbers }) {
  const tokens = map.columns.slice(0, MOST_TOKENS);
  const rows = map.rows.slice(0, MOST_ROWS);
  const more = map.columns.length > tokens.length || map.rows.length > rows.length;
  return html`${more ? html`<${LeftOut} map=${map} tokens=${tokens} rows=${rows} numbers=${numbers} />` : null}
    <div class="scroll-both" tabindex="0" role="region" aria-label=${`${name} as a table`}>
      <table class="small"><caption>${name}, ${map.unit}</caption>
        <thead><tr><th scope="col">Token</th>
          ${rows.map((word) => html`<th key=${word} scope="col" class="number">${word}</th>`)}</tr></thead>
        <tbody>${tokens.map((word, column) => html`<tr key=${column}>
          <th scope="row" class="mono">${token(word)}</th>
          ${rows.map((_, row) => {
            const value = map.values[row]?.[column];
            return html`<td key=${row} class="number">${known(value) ? fixed(value) : ""}</td>`;
          })}</tr>`)}</tbody>
      </table>
    </div>`;
}

function LeftOut({ map, tokens, rows, numbers }) {
  const ofTokens = `the first ${count(tokens.length)} of ${count(map.columns.length)} tokens`;
  const ofRows = `, and the first ${count(rows.length)} of ${count(map.rows.length)} rows`;
  const all = numbers ? html`: <a href=${numbers}>as JSON</a>` : ", in the result of the replay";
  return html`<p class="small soft">Here are ${ofTokens}${map.rows.length > rows.length ? ofRows : ""}.
    All numbers are in the API${all}.</p>`;
}
