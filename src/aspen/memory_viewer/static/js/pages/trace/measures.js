// What can be seen in a trace, one measure at a time.

import { html, useMemo, useState } from "../../../vendor/view.js";
import { get, part, url } from "../../api.js";
import { Busy, Trouble } from "../../parts/feedback.js";
import { Switch } from "../../parts/fields.js";
import { useLoaded } from "../../parts/hooks.js";
import { HeatMap } from "./heat_map.js";
import { layersByTokens } from "./shapes.js";

export const MEASURES = {
  norm: {
    word: "Norm",
    about: `How long the residual stream is. The first token of a model is an attention sink, far longer than the
      others.`,
  },
  change: {
    word: "Change",
    about: "How much each layer changes the residual stream, as a share of its length before.",
  },
  surprise: {
    word: "Surprise",
    about: `How little a token was expected, read off each of some layers. Only the last one is what the model itself
      expects.`,
  },
  resonance: {
    word: "Resonance",
    about: `How much each layer and token is like the prompt below: it shows where in the model the two agree.`,
  },
};

export function Measures({ trace, measure, prompt, onChange }) {
  const path = `/traces/${part(trace.id)}/map`;
  const asked = { measure, prompt: measure === "resonance" ? prompt : "" };
  const waits = measure === "resonance" && !prompt;
  const map = useLoaded(
    (signal) => (waits ? Promise.resolve(null) : get(path, asked, { signal })),
    [trace.id, measure, prompt],
  );
  const { value } = map;
  const shown = useMemo(() => value && layersByTokens(value), [value]);
  const options = Object.entries(MEASURES).map(([key, { word }]) => [key, word]);
  return html`<section class="stack" aria-label="Measures" aria-busy=${map.busy}>
    <${Switch} label="Measure" value=${measure} options=${options}
      onChange=${(changed) => onChange({ measure: changed })} />
    <p class="soft">${MEASURES[measure].about}</p>
    ${measure === "resonance" ? html`<${HeldAgainst} prompt=${prompt} onChange=${onChange} />` : null}
    <${Trouble} problem=${map.problem} again=${map.reload} />
    ${shown && !map.problem
      ? html`<${HeatMap} map=${shown} name=${MEASURES[value.measure].word} file=${`${trace.id}-${value.measure}`}
          about=${value.prompt ? `${value.title}, with “${value.prompt}”` : value.title}
          numbers=${url(path, { measure: value.measure, prompt: value.prompt })} />`
      : map.busy && !map.problem ? html`<${Busy} what="The model reads the trace again" />` : null}
  </section>`;
}

/** What the trace is held against to see its resonance. */
function HeldAgainst({ prompt, onChange }) {
  const [asked, setAsked] = useState(prompt);
  const hold = (event) => {
    event.preventDefault();
    onChange({ prompt: asked.trim() });
  };
  return html`<form class="row" onSubmit=${hold}>
    <input class="grow" type="text" aria-label="Prompt that it is held against" placeholder="A prompt of some words"
      value=${asked} onInput=${(event) => setAsked(event.currentTarget.value)} />
    <button disabled=${!asked.trim()}>Hold against it</button>
  </form>`;
}
