/*
 * publish: a form that says what is wrong before the hub does, the hub's answer, and what was sent from here.
 */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { JSX } from "preact";
import { curlOf } from "../lib/curl.js";
import { emptyDraft, eventTextOf, KINDS, mistakesIn, type Draft } from "../lib/draft.js";
import { clock, count } from "../lib/format.js";
import { layOut } from "../lib/json.js";
import { CopyButton } from "../parts/copy.js";
import { Icon } from "../parts/icons.js";
import { JsonEditor } from "../parts/json-editor.js";
import { Empty } from "../parts/states.js";
import { go, route } from "../state/route.js";
import { forgetSent, send, sent, type Sent } from "../state/sent.js";
import { types } from "../state/types.js";

const draft = signal<Draft>(emptyDraft);
const isTried = signal(false); /* complaints about empty fields wait for the first try */
const isMore = signal(false);
const isSending = signal(false);
const shown = signal<number | null>(null); /* the entry whose answer is shown */

function change(part: Partial<Draft>): void {
  draft.value = { ...draft.value, ...part };
}

/** What is under way is shown at once: an earlier answer would be taken for this one's. */
function sendAndShow(wanted: Draft): Promise<Sent> {
  const { n, done } = send(wanted);
  shown.value = n;
  return done;
}

async function submit(): Promise<void> {
  const mistakes = mistakesIn(draft.value);
  isTried.value = true;
  const first = (["event_type", "data", "id", "metadata"] as const).find((name) => mistakes[name]);
  if (first) {
    isMore.value ||= first === "id" || first === "metadata";
    requestAnimationFrame(() => document.getElementById(`publish-${first}`)?.focus());
    return;
  }
  isSending.value = true;
  await sendAndShow(draft.value);
  isSending.value = false;
}

const advice: Record<string, string> = {
  outcome_unknown: "Nobody knows whether it was published. With an id it can be sent again safely: the hub takes an id once.",
  not_connected: "It was not sent: there was no connection to the gateway in time.",
  hub_unavailable: "It was not published: the gateway has no link to the hub.",
  reserved_type: "This type belongs to the hub.",
  duplicate_conflict: "This id was used for an event with other content. Nothing was published.",
};

function Answer({ entry }: { entry: Sent }): JSX.Element {
  if (entry.tookMs === null) {
    return <div class="answer" data-tone="wait" role="status"><strong>Waiting for the hub's answer…</strong></div>;
  }
  const took = `${entry.tookMs < 10 ? entry.tookMs.toFixed(1) : Math.round(entry.tookMs)} ms`;
  const { answer, error } = entry;
  if (!answer) {
    return (
      <div class="answer" data-tone="bad" role="status" id="answer">
        <strong>{error?.code === "outcome_unknown" ? "No answer" : "Not published"}</strong>
        <p>{error?.message}</p>
        <p class="help">{advice[error?.code ?? ""]} <code>{error?.code}</code></p>
      </div>
    );
  }
  return (
    <div class="answer" data-tone="good" role="status" id="answer">
      <strong>{answer.duplicate ? "Was there already, as event " : "Event "}{count(answer.seq)}</strong>
      <dl class="facts">
        <div><dt>kept as</dt><dd>{answer.durability}</dd></div>
        <div><dt>answered after</dt><dd>{took}</dd></div>
        <div><dt>position</dt><dd class="mono">{answer.epoch}-{answer.seq}</dd></div>
        {answer.correlation_id && <div><dt>correlation_id</dt><dd class="mono">{answer.correlation_id}</dd></div>}
        {answer.ignored && <div><dt>ignored members</dt><dd class="mono">{answer.ignored.join(", ")}</dd></div>}
      </dl>
      <button type="button" class="quiet" onClick={() => go("live", new URLSearchParams({ event_type: entry.draft.event_type.trim() }))}><Icon name="live" /><span>Watch this type</span></button>
    </div>
  );
}

function Field({ id, label, hint, error, children }: { id: string; label: string; hint?: string; error?: string | undefined; children: JSX.Element }): JSX.Element {
  return (
    <div class="field">
      <label for={id}>{label}{hint && <span class="hint">{hint}</span>}</label>
      {children}
      <p class="error" id={`${id}-error`}>{error ?? ""}</p>
    </div>
  );
}

function More({ now, idMistake, metadataMistake }: { now: Draft; idMistake: string | undefined; metadataMistake: string | undefined }): JSX.Element {
  return (
    <details class="more" open={isMore.value} onToggle={(toggle) => (isMore.value = toggle.currentTarget.open)}>
      <summary>More members</summary>
      <div class="fields">
        <Field id="publish-source" label="source_service" hint="default: ws"><input id="publish-source" type="text" spellcheck={false} value={now.source_service} onInput={(e) => change({ source_service: e.currentTarget.value })} /></Field>
        <Field id="publish-id" label="id" hint="the same one is published once" error={idMistake}>
          <input id="publish-id" type="text" spellcheck={false} value={now.id} aria-invalid={idMistake !== undefined} aria-describedby="publish-id-error" onInput={(e) => change({ id: e.currentTarget.value })} /></Field>
        <Field id="publish-kind" label="kind"><select id="publish-kind" value={now.kind} onChange={(e) => change({ kind: e.currentTarget.value })}>
          <option value="">none</option>{KINDS.map((kind) => <option key={kind}>{kind}</option>)}</select></Field>
        <Field id="publish-correlation" label="correlation_id" hint="default: a new one"><input id="publish-correlation" type="text" spellcheck={false} value={now.correlation_id} onInput={(e) => change({ correlation_id: e.currentTarget.value })} /></Field>
        <Field id="publish-durability" label="durability" hint="how it is kept when the answer comes"><select id="publish-durability" value={now.durability} onChange={(e) => change({ durability: e.currentTarget.value })}>
          <option value="">as the hub is set</option><option>memory</option><option>journaled</option><option>synced</option></select></Field>
        <Field id="publish-metadata" label="metadata" hint="name=value lines" error={metadataMistake}>
          <textarea id="publish-metadata" rows={2} spellcheck={false} value={now.metadata} aria-invalid={metadataMistake !== undefined} aria-describedby="publish-metadata-error" onInput={(e) => change({ metadata: e.currentTarget.value })} /></Field>
      </div>
    </details>
  );
}

function Form(): JSX.Element {
  const now = draft.value;
  const mistakes = mistakesIn(now);
  const typeError = isTried.value || now.event_type.startsWith("hub.") ? mistakes.event_type : undefined;
  const known = types.found.value.value?.rows ?? [];
  const latest = sent.value.find((entry) => entry.n === shown.value);
  return (
    <form class="card publish-form" id="publish" noValidate autocomplete="off" onSubmit={(event) => {
      event.preventDefault();
      void submit();
    }}>
      <Field id="publish-event_type" label="Event type" error={typeError}>
        <input id="publish-event_type" type="text" class="mono" spellcheck={false} list="known-types" placeholder="new_setup" value={now.event_type} required
          aria-invalid={typeError !== undefined} aria-describedby="publish-event_type-error" onInput={(e) => change({ event_type: e.currentTarget.value })} /></Field>
      <datalist id="known-types">{known.slice(0, 200).map((row) => <option key={row.event_type} value={row.event_type} />)}</datalist>
      <div class="field">
        <div class="field-head"><label for="publish-data">Data<span class="hint">JSON</span></label>
          <button type="button" class="quiet" disabled={mistakes.data !== undefined} onClick={() => change({ data: layOut(now.data) })}>Lay out</button></div>
        <JsonEditor id="publish-data" value={now.data} mistake={mistakes.data ?? null} describedBy="publish-data-error" onChange={(data) => change({ data })} onSend={() => void submit()} />
        <p class="error" id="publish-data-error" role="status">{mistakes.data ? `Line ${mistakes.data.line}, column ${mistakes.data.column}: ${mistakes.data.message}` : ""}</p>
      </div>
      <More now={now} idMistake={mistakes.id} metadataMistake={mistakes.metadata} />
      <div class="form-end">
        <button type="submit" class="primary" id="send" disabled={isSending.value}><Icon name="publish" /><span>Publish</span></button>
        <span class="help"><kbd>Ctrl</kbd> <kbd>Enter</kbd></span>
        <CopyButton name="Copy as curl" icon="terminal" text={() => curlOf(eventTextOf(draft.value), location.origin)} />
      </div>
      {latest && <Answer entry={latest} />}
    </form>
  );
}

function SentRow({ entry }: { entry: Sent }): JSX.Element {
  const tone = entry.tookMs === null ? "wait" : entry.answer ? "good" : "bad";
  const result = entry.tookMs === null ? "waiting" : entry.answer ? `${entry.answer.duplicate ? "was" : ""} #${count(entry.answer.seq)}` : (entry.error?.code ?? "");
  return (
    <li data-tone={tone}>
      <button type="button" class="sent" title="Into the form" onClick={() => {
        draft.value = entry.draft;
        shown.value = entry.n;
      }}>
        <span class="sent-time mono">{clock(entry.at).slice(0, 8)}</span>
        <span class="sent-type mono">{entry.draft.event_type}</span>
        <span class="sent-result"><span class="dot" aria-hidden="true" />{result}</span>
        <code>{entry.draft.data.replace(/\s+/g, " ").slice(0, 120)}</code>
      </button>
      <button type="button" class="quiet" onClick={() => void sendAndShow(entry.draft)} aria-label={`Send ${entry.draft.event_type} again`}>Again</button>
    </li>
  );
}

export function PublishView(): JSX.Element {
  const wanted = route.value.query.get("event_type");
  useEffect(() => {
    if (wanted !== null) {
      change({ event_type: wanted });
    }
    if (types.found.value.value === null && !types.found.value.isMissing) {
      types.start(); /* for the names to choose from; once is enough */
      const stop = types.found.subscribe(({ value, error }) => (value || error) && types.stop());
      return () => {
        stop();
        types.stop();
      };
    }
    return undefined;
  }, [wanted]);
  return (
    <div class="publish">
      <Form />
      <section class="card sent-card" aria-labelledby="sent-title">
        <header class="table-head"><h2 id="sent-title">Sent from here</h2>{sent.value.length > 0 && <button type="button" class="quiet" onClick={forgetSent}>Forget</button>}</header>
        {sent.value.length === 0
          ? <Empty icon="publish" title="Nothing was sent yet"><p>What you publish is listed here with its answer, and can be sent again.</p></Empty>
          : <ol class="sent-list">{sent.value.map((entry) => <SentRow key={entry.n} entry={entry} />)}</ol>}
      </section>
    </div>
  );
}
