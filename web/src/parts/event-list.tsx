/*
 * event-list: the events as rows, of which only those exist that can be seen. Follows the newest, unless the reader
 * scrolls away; then what he looks at stays where it is while older rows go.
 */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { JSX } from "preact";
import { clock, count } from "../lib/format.js";
import { memberText } from "../lib/json.js";
import type { Item } from "../lib/log.js";
import { following, log, pausedByItself, replay, selected, version } from "../state/live.js";

const ROW = 34;
const NARROW_ROW = 54;
const SPARE = 6; /* rows beyond what is seen, so that scrolling shows no holes */
const PREVIEW = 240;
const narrow = matchMedia("(max-width: 44rem)");

/** Gone rows' heights are taken off, so a list of any length stays a list of at most this many pixels. */
function rowHeight(): number {
  return narrow.matches ? NARROW_ROW : ROW;
}

function Row({ item, top, height, isSelected, index, all }: { item: Item; top: number; height: number; isSelected: boolean; index: number; all: number }): JSX.Element {
  const place = { transform: `translateY(${top}px)`, height: `${height}px` };
  const common = { id: `row-${item.n}`, role: "option" as const, "aria-selected": isSelected, "aria-posinset": index + 1, "aria-setsize": all, style: place };
  if (item.notice) {
    return (
      <div {...common} class="row notice" data-n={item.n}>
        <span class="notice-text">{item.text}</span>
        {item.replay && <span class="link" data-replay={item.replay}>replay them</span>}
      </div>
    );
  }
  return (
    <div {...common} class="row" data-n={item.n} data-seq={item.seq}>
      <span class="cell time">{clock(item.timestamp)}</span>
      <span class="cell seq">{count(item.seq)}</span>
      <span class="cell type">{item.type}</span>
      <span class="cell source">{item.source}</span>
      <span class="cell preview">{memberText(item.text, "data").slice(0, PREVIEW)}</span>
    </div>
  );
}

export function selectRow(index: number): void {
  const item = log.row(Math.max(0, Math.min(log.shown - 1, index)));
  if (item) {
    selected.value = item;
    following.value = false;
  }
}

/** The next or previous row that is an event. */
export function moveSelection(step: number): void {
  const now = selected.value ? log.indexOf(selected.value.n) : -1;
  let next = now < 0 ? log.shown - 1 : now + step;
  while (log.row(next)?.notice) {
    next += step;
  }
  if (log.row(next)) {
    selectRow(next);
  }
}

export function EventList({ onOpen }: { onOpen(item: Item): void }): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const dropped = useRef(log.shownDropped);
  const pressed = useRef(0);
  const placed = useRef(-1); /* where following put the list: its event comes late, and is not the reader's wish */
  const row = rowHeight();
  const all = log.shown;
  void version.value;

  useEffect(() => {
    const size = new ResizeObserver(() => setHeight(box.current?.clientHeight ?? 600));
    size.observe(box.current!);
    return () => size.disconnect();
  }, []);

  useLayoutEffect(() => {
    const list = box.current!;
    if (following.value) {
      list.scrollTop = list.scrollHeight;
      placed.current = list.scrollTop;
    } else if (log.shownDropped > dropped.current) {
      list.scrollTop -= (log.shownDropped - dropped.current) * row;
    }
    dropped.current = log.shownDropped;
  });

  /* The row that the keys chose comes into sight. */
  const chosen = selected.value;
  useLayoutEffect(() => {
    const index = chosen ? log.indexOf(chosen.n) : -1;
    const list = box.current!;
    if (index >= 0 && index * row < list.scrollTop) {
      list.scrollTop = index * row;
    } else if (index >= 0 && (index + 1) * row > list.scrollTop + list.clientHeight) {
      list.scrollTop = (index + 1) * row - list.clientHeight;
    }
  }, [chosen?.n]);

  const isAway = (list: HTMLElement) => list.scrollHeight - list.scrollTop - list.clientHeight > row;
  /* Where the list is, not where its last scroll event said: a press that ends following comes before that event, and the
     row that was pressed must stay in the page, or the browser sends no click. */
  const begin = following.value ? all * row - height : (box.current?.scrollTop ?? top);
  const first = Math.max(0, Math.min(Math.floor(begin / row) - SPARE, all - 1));
  const last = Math.min(all, Math.ceil((begin + height) / row) + SPARE);
  const rows = [];
  for (let i = first; i < last; i++) {
    const item = log.row(i);
    if (item) {
      rows.push(<Row key={i % 256} item={item} top={i * row} height={row} isSelected={item.n === chosen?.n} index={i} all={all} />);
    }
  }
  /* While events come, the row under the pointer is another one at each moment: meant is the one that was pressed. */
  const onPress = (press: PointerEvent) => {
    pressed.current = Number((press.target as HTMLElement).closest<HTMLElement>(".row")?.dataset.n ?? 0);
    if (pressed.current > 0 && press.pointerType === "mouse") {
      following.value = false;
    }
  };
  const onClick = (click: MouseEvent) => {
    const back = (click.target as HTMLElement).dataset.replay;
    const item = log.row(log.indexOf(pressed.current));
    if (back) {
      replay(back);
    } else if (item && !item.notice) {
      selected.value = item;
      following.value = false;
      onOpen(item);
    }
  };
  return (
    <div class="list" ref={box} role="listbox" aria-label="Events, newest last" tabIndex={0}
      aria-activedescendant={chosen && log.indexOf(chosen.n) >= first ? `row-${chosen.n}` : undefined}
      onPointerDown={onPress}
      onClick={onClick}
      onWheel={(wheel) => wheel.deltaY < 0 && wheel.currentTarget.scrollTop > 0 && (following.value = false)}
      onTouchMove={(touch) => isAway(touch.currentTarget) && (following.value = false)}
      onScroll={() => {
        const list = box.current;
        if (!list) {
          return; /* the event comes as the view goes */
        }
        setTop(list.scrollTop);
        if (!isAway(list) && list.scrollTop !== placed.current && !pausedByItself.value && selected.value === null) {
          following.value = true; /* back at the end: goes along again */
        }
      }}>
      <div class="list-all" style={{ height: `${all * row}px` }}>{rows}</div>
    </div>
  );
}

