/*
 * types: what event types there are, how many of each, who publishes them, and what the newest one says.
 */
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import type { JSX } from "preact";
import { ago, count, plural, rate } from "../lib/format.js";
import { memberText } from "../lib/json.js";
import { arrange, sparkPath, type TypeOrder, type TypeRow } from "../lib/types-table.js";
import { Icon } from "../parts/icons.js";
import { JsonView } from "../parts/json-view.js";
import { Empty, Failure, Loading } from "../parts/states.js";
import { usePoll } from "../state/poll.js";
import { go } from "../state/route.js";
import { newestOf, rates, types, type Types } from "../state/types.js";

const SHOWN = 200; /* rows drawn; the filter brings the others */
const order = signal<TypeOrder>("rate");
const filter = signal("");
const opened = signal<string | null>(null);

function Spark({ type }: { type: string }): JSX.Element {
  return (
    <svg class="spark" viewBox="0 0 120 24" preserveAspectRatio="none" aria-hidden="true"><path d={sparkPath(rates.of(type), 120, 24)} /></svg>
  );
}

function Column({ name, by, numeric, wide }: { name: string; by?: TypeOrder; numeric?: boolean; wide?: boolean }): JSX.Element {
  const isSorted = by !== undefined && order.value === by;
  return (
    <th scope="col" class={[numeric && "numeric", wide && "not-phone"].filter(Boolean).join(" ") || undefined} aria-sort={isSorted ? (by === "name" ? "ascending" : "descending") : undefined}>
      {by ? <button type="button" class="sort" onClick={() => (order.value = by)}>{name}</button> : name}
    </th>
  );
}

function Detail({ row }: { row: TypeRow }): JSX.Element {
  const [event, setEvent] = useState<string | undefined>(row.event);
  const [error, setError] = useState("");
  useEffect(() => {
    let isCurrent = true;
    newestOf(row).then((found) => isCurrent && setEvent(found), (failed: Error) => isCurrent && setError(failed.message));
    return () => {
      isCurrent = false;
    };
  }, [row.position]);
  const only = new URLSearchParams({ event_type: row.event_type });
  return (
    <div class="type-detail">
      <div class="actions">
        <button type="button" onClick={() => go("live", only)}><Icon name="live" /><span>Watch live</span></button>
        <button type="button" onClick={() => go("publish", only)}><Icon name="publish" /><span>Publish one</span></button>
      </div>
      <div>
        <h2>{plural(row.count, "event")}, published by</h2>
        <ul class="chips">{row.sources.map((source) => <li key={source.source_service} class="chip"><span class="mono">{source.source_service}</span> {count(source.count)}</li>)}</ul>
      </div>
      <div class="newest">
        <h2>Newest, <span class="mono">{row.position}</span></h2>
        {error ? <p class="error">{error}</p> : event === undefined ? <Loading what="the newest event" lines={3} />
          : event === "" ? <p class="soft">It is not kept any more.</p> : <JsonView text={event} label={`The newest ${row.event_type}`} />}
      </div>
    </div>
  );
}

function Row({ row, now, hasValues }: { row: TypeRow; now: number; hasValues: boolean }): JSX.Element {
  const isOpen = opened.value === row.event_type;
  const value = memberText(row.event ?? "", "data");
  return (
    <>
      <tr data-type={row.event_type} data-open={isOpen ? "" : undefined}>
        <th scope="row"><button type="button" class="open" aria-expanded={isOpen} onClick={() => (opened.value = isOpen ? null : row.event_type)}>
          <span class="mono" title={row.event_type}>{row.event_type}</span></button></th>
        <td class="numeric strong">{rate(row.rate_per_s)}</td>
        <td class="spark-cell not-phone"><Spark type={row.event_type} /></td>
        <td class="numeric not-phone">{count(row.count)}</td>
        <td class="wide-only sources">{row.sources.map((source) => source.source_service).join(", ")}</td>
        <td class="numeric nowrap">{ago(row.last_seen, now)}</td>
        {hasValues && <td class="wide-only value"><code>{value.slice(0, 200)}</code></td>}
      </tr>
      {isOpen && <tr class="detail-row"><td colSpan={7}><Detail row={row} /></td></tr>}
    </>
  );
}

function Table({ found }: { found: Types }): JSX.Element {
  const rows = arrange(found.rows, order.value, filter.value);
  const now = Date.now() / 1000;
  const hasValues = found.rows.some((row) => row.event !== undefined); /* of very many types they are not asked for */
  return (
    <>
      <header class="table-head">
        <p><strong>{count(found.total)}</strong> {found.total === 1 ? "type" : "types"}{filter.value && `, ${count(rows.length)} shown`}
          {found.forgotten > 0 && <span class="help"> · {plural(found.forgotten, "type")} forgotten, silent the longest</span>}</p>
        <input type="search" aria-label="Filter by type or publisher" placeholder="Filter by type or publisher" value={filter.value}
          onInput={(input) => (filter.value = input.currentTarget.value)} />
      </header>
      {rows.length === 0
        ? <Empty icon="filter" title="No type matches"><p>The filter looks at names of types and of publishers.</p></Empty>
        : (
          <div class="table-scroll" role="region" aria-label="Event types" tabIndex={0}>
            <table class="types-table" data-values={hasValues ? "" : undefined}>
              <thead><tr><Column name="Type" by="name" /><Column name="Per second" by="rate" numeric /><th scope="col" class="not-phone"><span class="visually-hidden">Rate, drawn</span></th>
                <Column name="Events" by="count" numeric wide /><th scope="col" class="wide-only">Published by</th><Column name="Last" by="seen" numeric />
                {hasValues && <th scope="col" class="wide-only">Newest value</th>}</tr></thead>
              <tbody>{rows.slice(0, SHOWN).map((row) => <Row key={row.n} row={row} now={now} hasValues={hasValues} />)}</tbody>
            </table>
          </div>
        )}
      {rows.length > SHOWN && <p class="table-foot">The first {count(SHOWN)} of {count(rows.length)}; the filter finds the others.</p>}
    </>
  );
}

export function TypesView(): JSX.Element {
  const { value, error, isMissing } = usePoll(types);
  if (isMissing) {
    return (
      <div class="card"><Empty icon="types" title="This gateway does not tell its types">
        <p>It is of a version without <code>GET /types</code>. Live events can be watched all the same.</p>
        <button type="button" onClick={() => go("live")}><Icon name="live" /><span>Live events</span></button>
      </Empty></div>
    );
  }
  if (!value) {
    return <div class="card">{error ? <Failure title="The types cannot be had now"><p>{error.message}</p></Failure> : <Loading what="the types" lines={8} />}</div>;
  }
  return (
    <div class="card table-card" data-old={error ? "" : undefined}>
      {value.rows.length === 0
        ? <Empty icon="types" title="No event has come yet"><p>Each type is listed here from its first event on.</p></Empty>
        : <Table found={value} />}
    </div>
  );
}
