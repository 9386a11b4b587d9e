// What can be seen in a trace, one measure at a time.

import { html, useState } from "../../../vendor/view.js";
import { get, part } from "../../api.js";
import { Busy, Trouble } from "../../parts/feedback.js";
import { Switch } from "../../parts/fields.js";
import { useLoaded } from "../../parts/hooks.js";
import { HeatMap } from "./heat_map.js";
import { layersByTokens } from "./shapes.js";

export const MEASURES = {
  norm: { word: "Norm", about: "How long the residual stream is. The first token of a model is an attention sink, far longer than the others." },
  change: { word: "Change", about: "How much each layer changes the residual stream, as a share of its length before." },
  surprise: { word: "Surprise", about: "How little a token was expected, read off each of some layers. Only the last one is what the model itself expects." },
  resonance: { word: "Resonance", about: "How much each layer and token is like the prompt below: it shows where in the model the two agree." },
};

export function Measures({ trace, measure, prompt, onChange }) {
  const [asked, setAsked] = useState(prompt);
  const waits = measure === "resonance" && !prompt;
  const map = useLoaded(
    (signal) => (waits ? Promise.resolve(null) : get(`/traces/${part(trace.id)}/map`, { measure, prompt: measure === "resonance" ? prompt : "" }, { signal })),
    [trace.id, measure, prompt],
  );
  return html`<section class="stack" aria-label="Measures" aria-busy=${map.busy}>
    <div class="row spaced">
      <${Switch} label="Measure" value=${measure} options=${Object.entries(MEASURES).map(([key, { word }]) => [key, word])} onChange=${(value) => onChange({ measure: value })} />
      ${map.value ? html`<${SavePicture} name=${`${trace.id}-${measure}`} />` : null}
    </div>
    <p class="soft">${MEASURES[measure].about}</p>
    ${measure === "resonance"
      ? html`<form class="row" onSubmit=${(event) => { event.preventDefault(); onChange({ prompt: asked.trim() }); }}>
          <input class="grow" type="text" aria-label="Prompt that it is held against" placeholder="A prompt of some words" value=${asked} onInput=${(event) => setAsked(event.currentTarget.value)} />
          <button disabled=${!asked.trim()}>Hold against it</button></form>`
      : null}
    <${Trouble} problem=${map.problem} again=${map.reload} />
    ${map.value && !map.problem ? html`<${HeatMap} map=${layersByTokens(map.value)} name=${MEASURES[measure].word} />`
      : map.busy && !map.problem ? html`<${Busy} what="The model reads the trace again" />` : null}
  </section>`;
}

/** Saves the picture nearest to it as PNG, as it is shown. */
export function SavePicture({ name }) {
  const save = (event) => {
    const canvas = event.currentTarget.closest("section").querySelector(".heat-frame canvas");
    const whole = document.createElement("canvas");
    Object.assign(whole, { width: canvas.width, height: canvas.height });
    const context = whole.getContext("2d");
    context.fillStyle = getComputedStyle(document.body).backgroundColor === "rgba(0, 0, 0, 0)" ? getComputedStyle(document.documentElement).backgroundColor : getComputedStyle(document.body).backgroundColor;
    context.fillRect(0, 0, whole.width, whole.height);
    context.drawImage(canvas, 0, 0);
    whole.toBlob((blob) => {
      const link = document.createElement("a");
      Object.assign(link, { href: URL.createObjectURL(blob), download: `${name}.png` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    });
  };
  return html`<button class="quiet" onClick=${save}>Save as PNG</button>`;
}
