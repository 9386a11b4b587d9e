// Plays the hops of a recall: play, step, scrub. It tells what arrives at each hop in words as well.

import { html, useEffect, useRef, useState } from "../../../vendor/view.js";
import { counted, cut, fixed } from "../../format.js";
import { stillness } from "../../parts/hooks.js";
import { memoryAddress } from "../../parts/memories.js";
import { TypeMark } from "../../parts/marks.js";
import { timeline } from "./timeline.js";

const HOP = 1600; // milliseconds that activation takes for one hop
const MOST_AT_ONCE = 0.1; // hops: on a machine that draws slowly the film takes longer, and leaves nothing out
const LISTED = 12;

export function Player({ recall, drawing, onChoose, onStop }) {
  const { frames, memories } = recall.explanation;
  const film = useRef(null);
  const [moment, setMoment] = useState(0);
  const [playing, setPlaying] = useState(true);
  const at = useRef(0); // the moment that is drawn; the state follows for the slider and the words
  const stopped = useRef(false); // at once; a frame that was asked for before would go on otherwise
  film.current ??= timeline(frames);
  const { last } = film.current;
  const hop = Math.min(last, Math.ceil(moment - 0.001));

  // Drawn here and now, and not as an effect of the state: that would come frames later.
  const show = (to) => {
    at.current = Math.max(0, Math.min(last, to));
    drawing?.light(film.current.at(at.current));
    setMoment(at.current);
    if (at.current >= last) setPlaying(false);
  };
  useEffect(() => {
    show(at.current);
    return () => drawing?.unlight();
  }, [drawing]);
  useEffect(() => {
    if (!playing || !drawing) return undefined;
    if (stillness()) {
      const timer = setInterval(() => show(Math.floor(at.current) + 1), HOP);
      return () => clearInterval(timer);
    }
    let then = performance.now();
    let frame = requestAnimationFrame(function draw(now) {
      if (stopped.current) return;
      const step = Math.min(MOST_AT_ONCE, Math.max(0, now - then) / HOP);
      then = now;
      frame = requestAnimationFrame(draw);
      show(at.current + step);
    });
    return () => cancelAnimationFrame(frame);
  }, [playing, drawing]);

  const go = (to) => {
    stopped.current = true;
    setPlaying(false);
    show(to);
  };
  const play = () => {
    stopped.current = playing;
    setPlaying(!playing);
    if (at.current >= last) show(0);
  };
  const words = told(frames[hop], hop, memories);
  const leftOf = (stop) => `${(stop / Math.max(1, last)) * 100}%`;
  return html`<section class="player card" aria-label="The spreading, hop by hop">
    <div class="row steps">
      <button class="quiet icon" aria-label="Back to the hop before"
        onClick=${() => go(Math.ceil(moment) - 1)}>${SYMBOLS.back}</button>
      <button class="icon strong" aria-label=${playing ? "Pause" : "Play"}
        onClick=${play}>${playing ? SYMBOLS.pause : SYMBOLS.play}</button>
      <button class="quiet icon" aria-label="On to the next hop"
        onClick=${() => go(Math.floor(moment) + 1)}>${SYMBOLS.next}</button>
      <label class="scrub"><span class="unseen">Moment of the spreading</span>
        <input type="range" min="0" max=${last} step="0.01" value=${moment} aria-valuetext=${`hop ${hop} of ${last}`}
          onInput=${(event) => go(Number(event.currentTarget.value))} />
        <span class="stops small soft" aria-hidden="true">${frames.map(
          (_, at) => html`<span key=${at} style=${{ left: leftOf(at) }}>${at === 0 ? "found" : at}</span>`,
        )}</span>
      </label>
      <button class="quiet" onClick=${onStop}>Leave the recall</button>
    </div>
    <p class="telling" role="status">${words}</p>
    <details><summary class="small">What ${hop === 0 ? "it started from" : `arrived in hop ${hop}`}</summary>
      <div class="scroll-y"><table class="small">
        <caption class="unseen">Activation ${hop === 0 ? "at the start" : `that arrived in hop ${hop}`}</caption>
        <thead><tr><th scope="col">Memory</th><th scope="col" class="number">Activation</th></tr></thead>
        <tbody>${Object.entries(frames[hop].activation).slice(0, LISTED).map(
          ([id, value]) => html`<${Arrived} key=${id} id=${id} memory=${memories[id]} value=${value}
            onChoose=${onChoose} />`,
        )}</tbody></table></div>
    </details>
  </section>`;
}

function Arrived({ id, memory, value, onChoose }) {
  const choose = (event) => {
    event.preventDefault();
    onChoose(id);
  };
  return html`<tr>
    <td><span class="one-line"><${TypeMark} type=${memory?.type} bare />
      <a href=${memoryAddress(id)} dir="auto" onClick=${choose}>${cut(memory?.text ?? id, 80)}</a></span></td>
    <td class="number">${fixed(value)}</td>
  </tr>`;
}

function told({ activation, edges, left_out: more = 0 }, hop, memories) {
  const reached = Object.keys(activation);
  if (!reached.length) return `Hop ${hop}: nothing arrived.`;
  const first = cut(memories[reached[0]]?.text ?? reached[0], 60);
  const many = counted(reached.length, "memory", "memories");
  if (hop === 0) return `Found: ${many}, the strongest “${first}”.`;
  return `Hop ${hop}: ${counted(edges.length + more, "link")} carried activation to ${many}, most to “${first}”.`;
}

const symbol = (path) => html`<svg viewBox="0 0 20 20" aria-hidden="true"><path d=${path} /></svg>`;
const SYMBOLS = {
  play: symbol("M5 3l12 7-12 7z"),
  pause: symbol("M5 3h3.5v14H5zM11.5 3H15v14h-3.5z"),
  back: symbol("M4 4h2v12H4zM16 4v12L7 10z"),
  next: symbol("M14 4h2v12h-2zM4 4v12l9-6z"),
};
