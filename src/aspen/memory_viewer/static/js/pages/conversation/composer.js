// The box to talk in, and how the reply is made.

import { html, useState } from "../../../vendor/view.js";
import { Choice, Lines, Slider, Switch, Text, Tick } from "../../parts/fields.js";
import { drawSeed } from "./talk.js";

const STRATEGIES = [
  ["", "As configured"], ["note", "Note: dated lines of what was said"],
  ["scaffold", "Scaffold: how it went the last time"],
  ["two_pass", "Two passes: a note only where needed"], ["reflection", "Reflection: rewritten for the message"],
  ["seed_replay", "Seed replay: the old state, run again"], ["summary", "Summary: patterns that recur"],
  ["kv", "KV: stored keys and values"], ["auto", "Auto: chooses one of these"],
];
const SETTINGS = { strategy: "", seed: "", temperature: 0.2, max_tokens: 128, note_tokens: 200, remember: true };
const SIDES = [["with", "With memory"], ["without", "Without"], ["both", "Side by side"]];

export function Composer({ busy, onSay, onStop }) {
  const [message, setMessage] = useState("");
  const [side, setSide] = useState("with");
  const [settings, setSettings] = useState(SETTINGS);
  const set = (name) => (value) => setSettings((before) => ({ ...before, [name]: value }));

  const send = () => {
    const text = message.trim();
    if (!text || busy) return;
    const { strategy, seed, ...rest } = settings;
    const options = { ...rest, seed: seed === "" ? drawSeed() : Number(seed), ...(strategy ? { strategy } : {}) };
    onSay(text, { sides: side === "both" ? ["with", "without"] : [side], options });
    setMessage("");
  };

  return html`<form class="composer" onSubmit=${(event) => { event.preventDefault(); send(); }}>
    <div class="row top">
      <${Lines} label="Message" value=${message} onInput=${setMessage} onEnter=${send} placeholder="Say something" />
      ${busy
        ? html`<button type="button" class="quiet" onClick=${onStop}>Stop</button>`
        : html`<button disabled=${!message.trim()}>Send</button>`}
    </div>
    <${Switch} label="Memory" value=${side} options=${SIDES} onChange=${setSide} />
    <details>
      <summary class="small">How it answers</summary>
      <div class="settings">
        <${Choice} label="Strategy" value=${settings.strategy} options=${STRATEGIES} onChange=${set("strategy")} />
        <${Text} label="Seed" hint="drawn where empty" value=${settings.seed} inputmode="numeric" pattern="[0-9]*"
          onInput=${(value) => set("seed")(value.replace(/\D/g, "").slice(0, 15))} />
        <${Slider} label="Temperature" value=${settings.temperature} min="0" max="1.5" step="0.1"
          onInput=${set("temperature")} />
        <${Slider} label="Longest reply" value=${settings.max_tokens} min="16" max="512" step="16"
          shown=${`${settings.max_tokens} tokens`} onInput=${set("max_tokens")} />
        <${Slider} label="Most for memories" value=${settings.note_tokens} min="0" max="1000" step="50"
          shown=${`${settings.note_tokens} tokens`} onInput=${set("note_tokens")} />
        <${Tick} label="Remember this turn" checked=${settings.remember} onChange=${set("remember")} />
      </div>
    </details>
  </form>`;
}
