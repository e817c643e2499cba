/*
 * clients: who is connected to this gateway, what each wants and how far it is; and the consumer groups of the hub.
 */
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import type { JSX } from "preact";
import { ago, bytes, count, duration, seqOf } from "../lib/format.js";
import { Empty, Failure, Loading } from "../parts/states.js";
import { clients, disconnect, door, groups, membersOf, type Client, type Group, type Member } from "../state/clients.js";
import { usePoll } from "../state/poll.js";

const doors: Record<string, string> = { ws: "WebSocket", sse: "SSE", http: "HTTP" };
const asking = signal<Client | null>(null);
const openedGroup = signal<string | null>(null);
const said = signal("");

function Patterns({ types }: { types: string[] | undefined }): JSX.Element {
  if (types === undefined) {
    return <span class="soft">nothing</span>;
  }
  const isAll = types.length === 0 || (types.length === 1 && types[0] === "*");
  const shown = isAll ? ["everything"] : types.slice(0, 4);
  return (
    <ul class="chips">
      {shown.map((type) => <li key={type} class={isAll ? "chip soft" : "chip mono"} title={isAll ? undefined : type}>{type}</li>)}
      {types.length > 4 && <li class="chip soft" title={types.join(", ")}>{types.length - 4} more</li>}
    </ul>
  );
}

/** Asks before a connection is ended. */
function Confirm(): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const [error, setError] = useState("");
  const client = asking.value;
  useEffect(() => {
    setError("");
    client ? dialog.current?.showModal() : dialog.current?.close();
  }, [client?.id]);
  const end = async (reconnect: boolean) => {
    try {
      await disconnect(client!.id, reconnect);
      said.value = `${client!.peer} was disconnected.`;
      asking.value = null;
    } catch (failed) {
      setError((failed as Error).message);
    }
  };
  return (
    <dialog class="dialog confirm" ref={dialog} aria-labelledby="confirm-title" onClose={() => (asking.value = null)}>
      <h2 id="confirm-title">Disconnect {client?.peer}?</h2>
      <p>Its {doors[client?.door ?? ""]} connection ends. Asked to come back, a client of the hub resumes where it was; an <code>EventSource</code> comes back in any case.</p>
      <p class="error" role="alert">{error}</p>
      <div class="dialog-end">
        <button type="button" onClick={() => (asking.value = null)}>Cancel</button>
        <button type="button" onClick={() => void end(true)}>Disconnect, may come back</button>
        <button type="button" class="danger" onClick={() => void end(false)}>Disconnect</button>
      </div>
    </dialog>
  );
}

function ClientRow({ client, now }: { client: Client; now: number }): JSX.Element {
  const lag = client.lag ?? 0;
  return (
    <tr data-client={client.id}>
      <td><span class="badge" data-door={client.door}>{doors[client.door] ?? client.door}</span></td>
      <th scope="row" class="nowrap"><span class="mono">{client.peer}</span></th>
      <td><span class="state" data-state={client.state}>{client.state}</span></td>
      <td class="patterns-cell"><Patterns types={client.event_type} />
        {client.groups?.map((group) => <span key={group.group} class="chip group-chip">group <b>{group.group}</b> as {group.member}, holds {count(group.held)}</span>)}</td>
      <td class="numeric mono" data-label="position" title={client.position ?? ""}>{count(seqOf(client.position))}</td>
      <td class="numeric" data-label="lag" data-tone={lag > 1000 ? "warn" : undefined}>{count(lag)}</td>
      <td class="numeric" data-label="delivered">{count(client.delivered)}</td>
      <td class="numeric" data-label="dropped" data-tone={(client.dropped ?? 0) > 0 ? "bad" : undefined}>{count(client.dropped)}</td>
      <td class="numeric nowrap" data-label="waiting">{bytes(client.waiting_bytes)}</td>
      <td class="numeric nowrap" data-label="connected for">{duration(now - client.connected_at)}</td>
      <td class="numeric action-cell"><button type="button" class="quiet danger" aria-label={`Disconnect ${client.peer}`} onClick={() => (asking.value = client)}>Disconnect</button></td>
    </tr>
  );
}

function DoorChoice(): JSX.Element {
  const choices: ["" | "ws" | "sse" | "http", string][] = [["", "All"], ["ws", "WebSocket"], ["sse", "SSE"], ["http", "HTTP"]];
  return (
    <fieldset class="windows">
      <legend class="visually-hidden">Door</legend>
      {choices.map(([value, name]) => (
        <label key={value}><input type="radio" name="door" checked={door.value === value} onChange={() => {
          door.value = value;
          clients.start();
        }} /><span>{name}</span></label>
      ))}
    </fieldset>
  );
}

function Clients(): JSX.Element {
  const { value, error, isMissing } = usePoll(clients);
  if (isMissing) {
    return <Empty icon="clients" title="This gateway does not tell its clients"><p>It is of a version without <code>GET /clients</code>. The overview has their number.</p></Empty>;
  }
  if (!value) {
    return error ? <Failure title="The clients cannot be had now"><p>{error.message}</p></Failure> : <Loading what="the clients" lines={6} />;
  }
  const now = Date.now() / 1000;
  return (
    <div data-old={error ? "" : undefined}>
      <header class="table-head">
        <p><strong>{count(value.total)}</strong> connected{value.isCut && <span class="help"> · the first {count(value.rows.length)} are listed</span>}</p>
        <DoorChoice />
      </header>
      {value.rows.length === 0
        ? <Empty icon="clients" title="Nobody is connected by this door"><p>WebSockets, event streams and waiting fetches are listed here.</p></Empty>
        : (
          <div class="table-scroll" role="region" aria-label="Connected clients" tabIndex={0}>
            <table class="as-cards">
              <thead><tr><th scope="col">Door</th><th scope="col">Peer</th><th scope="col">State</th><th scope="col">Subscribed</th>
                <th scope="col" class="numeric">Position</th><th scope="col" class="numeric">Lag</th><th scope="col" class="numeric">Delivered</th>
                <th scope="col" class="numeric">Dropped</th><th scope="col" class="numeric">Waiting</th><th scope="col" class="numeric">Connected</th>
                <th scope="col"><span class="visually-hidden">Action</span></th></tr></thead>
              <tbody>{value.rows.map((client) => <ClientRow key={client.id} client={client} now={now} />)}</tbody>
            </table>
          </div>
        )}
    </div>
  );
}

function Members({ group }: { group: Group }): JSX.Element {
  const [members, setMembers] = useState<Member[] | null>(null);
  const [error, setError] = useState("");
  useEffect(() => {
    membersOf(group.group).then(setMembers, (failed: Error) => setError(failed.message));
  }, [group]);
  if (error || !members) {
    return error ? <p class="error">{error}</p> : <Loading what="the members" lines={2} />;
  }
  const now = Date.now() / 1000;
  return members.length === 0 ? <p class="soft">Nobody fetches from this group now.</p> : (
    <ul class="members">{members.map((member) => (
      <li key={member.member}><span class="mono">{member.member}</span><span>holds {count(member.pending)}</span><span class="soft">seen {ago(now - member.last_seen_s, now)}</span></li>
    ))}</ul>
  );
}

function GroupRow({ group }: { group: Group }): JSX.Element {
  const isOpen = openedGroup.value === group.group;
  return (
    <>
      <tr data-group={group.group}>
        <th scope="row"><button type="button" class="open" aria-expanded={isOpen} onClick={() => (openedGroup.value = isOpen ? null : group.group)}><span class="mono">{group.group}</span></button>
          {group.ordered && <span class="chip soft">ordered</span>}</th>
        <td class="patterns-cell"><Patterns types={group.event_type} /></td>
        <td class="numeric" data-label="lag" data-tone={group.lag > 1000 ? "warn" : undefined}>{count(group.lag)}</td>
        <td class="numeric" data-label="pending">{count(group.pending)}</td>
        <td class="numeric" data-label="delayed">{count(group.delayed)}</td>
        <td class="numeric" data-label="done">{count(group.acked)}</td>
        <td class="numeric" data-label="again">{count(group.redelivered)}</td>
        <td class="numeric" data-label="dead letters" data-tone={group.dead_letters > 0 ? "warn" : undefined}>{count(group.dead_letters)}</td>
        <td class="numeric" data-label="lost" data-tone={group.lost > 0 ? "bad" : undefined}>{count(group.lost)}</td>
      </tr>
      {isOpen && <tr class="detail-row"><td colSpan={9}><Members group={group} /></td></tr>}
    </>
  );
}

function Groups(): JSX.Element {
  const { value, error, isMissing } = usePoll(groups);
  if (isMissing) {
    return <Empty title="No consumer groups here"><p>The hub or the gateway is of a version without them.</p></Empty>;
  }
  if (!value) {
    return error ? <Failure title="The groups cannot be had now"><p>{error.message}</p></Failure> : <Loading what="the groups" lines={3} />;
  }
  if (value.length === 0) {
    return <Empty title="No consumer groups yet"><p>A group hands each event to one of its members until one acknowledges it.</p></Empty>;
  }
  return (
    <div class="table-scroll" role="region" aria-label="Table of the consumer groups" tabIndex={0}>
      <table class="as-cards">
        <thead><tr><th scope="col">Group</th><th scope="col">Patterns</th><th scope="col" class="numeric">Lag</th><th scope="col" class="numeric">Pending</th>
          <th scope="col" class="numeric">Delayed</th><th scope="col" class="numeric">Done</th><th scope="col" class="numeric">Again</th>
          <th scope="col" class="numeric">Dead letters</th><th scope="col" class="numeric">Lost</th></tr></thead>
        <tbody>{value.map((group) => <GroupRow key={group.group} group={group} />)}</tbody>
      </table>
    </div>
  );
}

export function ClientsView(): JSX.Element {
  return (
    <div class="stack">
      <p class="visually-hidden" role="status">{said.value}</p>
      <section class="card table-card" aria-label="Clients"><Clients /></section>
      <section class="card table-card" aria-labelledby="groups-title"><h2 class="section-title" id="groups-title">Consumer groups</h2><Groups /></section>
      <Confirm />
    </div>
  );
}
