// The graph of memories, and the spreading of a recall played over it.

import { html, useEffect, useMemo, useRef, useState } from "../../../vendor/view.js";
import { get, post } from "../../api.js";
import { counted } from "../../format.js";
import { Busy, Empty, tell, Trouble } from "../../parts/feedback.js";
import { useLoaded, useTheme } from "../../parts/hooks.js";
import { address, go } from "../../router.js";
import { asked, bodyOf, loadPresets, queryOf } from "../recall/asking.js";
import { Prompt } from "../recall/page.js";
import { Details } from "./details.js";
import { Filters, Finder, GraphTable } from "./filters.js";
import { joined } from "./joined.js";
import { Player } from "./player.js";

const DRAWN = "500";
const MORE = ", the ones that matter most just now; more are loaded around what you click";
const NO_WEBGL = {
  detail: "This browser does not draw the graph: WebGL is switched off or missing.",
  hint: "The table below has the same.",
};
const NOTHING = { types: new Set(), relations: new Set() };

export function Page({ place }) {
  const size = place.query.get("size") || DRAWN;
  const center = place.rest[0] ?? null;
  const recall = asked(place.query);
  const graph = useLoaded(
    async (signal) => ({
      ...(await get("/graph", center ? { center, hops: 2, limit: size } : { limit: size }, { signal })),
      center,
      key: `${size} ${center}`, // a picture is of what was loaded, which comes later than what is asked for
    }),
    [size, center],
  );
  const played = useLoaded(
    async (signal) => {
      if (!recall.prompt) return null;
      const presets = await loadPresets();
      return post("/recall", bodyOf(recall, presets[recall.preset]?.settings), { signal });
    },
    [JSON.stringify(queryOf(recall))],
  );
  const sized = (value) => (value === DRAWN ? "" : value);
  const to = (changed) => go(address("graph", place.rest, { ...queryOf(recall), size: sized(size), ...changed }));
  const empty = graph.value && !graph.value.nodes.length;
  return html`<div class="graph-page">
    <h1 class="unseen">Graph</h1>
    <${Prompt} recall=${recall} word="Play it" onAsk=${(prompt) => to({ prompt })} />
    <${Trouble} problem=${graph.problem} again=${graph.reload} />
    <${Trouble} problem=${played.problem} again=${played.reload} />
    ${empty
      ? html`<${Empty} title="There is nothing to draw yet">
          <p>Memories become points here, and what relates them becomes lines.${" "}
            <a href="/memories/transfer">Import some</a>, or <a href="/conversation">tell it something</a>.</p><//>`
      : graph.value
        ? html`<${Picture} key=${graph.value.key} graph=${graph.value} start=${center}
            size=${size} onSize=${(value) => to({ size: sized(value) })}
            recall=${recall.prompt ? played.value : null} recalling=${Boolean(recall.prompt) && played.busy}
            onStop=${() => to({ prompt: "" })} />`
        : graph.problem ? null : html`<${Busy} what="Reading the graph" />`}
  </div>`;
}

function Picture({ graph, size, onSize, recall, recalling, onStop, start }) {
  const box = useRef(null);
  const [drawing, setDrawing] = useState(null);
  const [chosen, setChosen] = useState(start);
  const [hidden, setHidden] = useState(NOTHING);
  const [problem, setProblem] = useState(null);
  const [settling, setSettling] = useState(true);
  const [shown, setShown] = useState(graph); // and what was loaded around it since
  const whole = useRef(graph); // the same, for what the drawing calls long after it was made
  const theme = useTheme();
  const tools = useRef(null);
  const stopLayout = useRef(() => {});

  const arrange = (one, options) => {
    stopLayout.current();
    setSettling(true);
    stopLayout.current = tools.current.layOut(one, { ...options, onStep: (share) => setSettling(share < 1) });
  };
  const grow = (more) => {
    const before = whole.current.nodes.length;
    whole.current = joined(whole.current, more);
    setShown(whole.current);
    return whole.current.nodes.length - before;
  };
  useEffect(() => {
    let gone = false;
    let made = null;
    Promise.all([import("./drawing.js"), import("./layout.js")]).then(
      ([{ Drawing }, { layOut }]) => {
        if (gone) return;
        tools.current = { layOut };
        if (!document.createElement("canvas").getContext("webgl2")) {
          setProblem(NO_WEBGL);
          return;
        }
        made = new Drawing(box.current, { onChoose: (id) => choose(id), onOpen: (id) => neighbours(id, made) });
        made.add(graph);
        arrange(made);
        setDrawing(made);
      },
      () => setProblem({ detail: "The parts that draw the graph could not be loaded.", hint: "Reload the page." }),
    );
    return () => {
      gone = true;
      stopLayout.current();
      made?.kill();
    };
  }, []);
  useEffect(() => drawing?.recolour(), [theme, drawing]);
  useEffect(() => drawing?.hide(hidden), [drawing, hidden]);
  useEffect(() => drawing?.choose(chosen), [drawing, chosen]);
  useEffect(() => {
    if (!drawing || !recall?.explanation) return;
    // What the recall went over is drawn, too, where it is not among the memories that are.
    const { frames, memories } = recall.explanation;
    const edges = frames.flatMap((frame) => frame.edges);
    const active = frames.flatMap(({ activation }) => Object.keys(activation));
    const on = new Set([...active, ...edges.flatMap(({ source, target }) => [source, target])]);
    const known = [...on].map((id) => memories[id]).filter(Boolean);
    const nodes = known.map((memory) => ({ ...memory, priority: memory.priority ?? 0.5 }));
    const added = drawing.add({ nodes, edges });
    grow({ nodes, edges: [] });
    if (added) arrange(drawing, { rounds: 80 });
  }, [drawing, recall]);

  const choose = (id) => setChosen(id);
  const find = (id) => {
    setChosen(id);
    drawing?.show(id);
  };
  const neighbours = async (id, one = drawing) => {
    try {
      const around = await get("/graph", { center: id, hops: 1, limit: 300 });
      const added = grow(around);
      if (one?.add(around, { near: id })) arrange(one, { rounds: 60 }); // there is no drawing without WebGL
      tell(added ? `${counted(added, "neighbour")} more.` : "All of its neighbours are here already.");
      setChosen(id);
    } catch (failure) {
      setProblem(failure);
    }
  };
  const counts = useMemo(() => countsOf(shown), [shown]);
  const many = counted(shown.nodes.length, "memory", "memories");
  return html`<div class=${recall ? "graph-frame playing" : "graph-frame"}>
    <div class="graph-side">
      <${Finder} drawing=${drawing} onChoose=${find} />
      <${Filters} counts=${counts} hidden=${hidden} onHide=${setHidden} size=${size} onSize=${onSize} />
      ${chosen
        ? html`<${Details} id=${chosen} onChoose=${find} onNeighbours=${neighbours} onClose=${() => setChosen(null)} />`
        : html`<p class="small soft">Click a memory for what it says and what it stands between. A double click loads
            its neighbours.</p>`}
    </div>
    <div class="graph-main">
      <${Trouble} problem=${problem} />
      <div class="graph-box" ref=${box} role="img"
        aria-label=${`Graph of ${many}; the table below has the same`}></div>
      <p class="graph-note small soft">
        ${many}${graph.truncated ? MORE : ""}${settling ? " · finding their places" : ""}</p>
      ${recalling ? html`<${Busy} what="Recalling" />` : null}
      ${recall?.explanation && !recalling
        ? html`<${Player} key=${recall.prompt + recall.seconds} recall=${recall} drawing=${drawing} onChoose=${find}
            onStop=${onStop} />`
        : null}
      <${GraphTable} graph=${shown} />
    </div>
  </div>`;
}

function countsOf({ nodes, edges }) {
  const tally = (names) => names.reduce((counts, name) => ({ ...counts, [name]: (counts[name] ?? 0) + 1 }), {});
  return { types: tally(nodes.map(({ type }) => type)), relations: tally(edges.map(({ type }) => type)) };
}
