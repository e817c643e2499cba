/*
 * log: the events that the page holds, oldest first, and those of them that pass the text filter. Bounded by count and by
 * characters: when it is full the oldest go.
 *
 * Appending and dropping cost a constant time: both lists are arrays of which only the part behind `head` is alive, cut
 * when the dead part is the larger one.
 */
export interface Item {
  /** Counts up; names a row. */
  n: number;
  /** The event as it came; the words of a notice. */
  text: string;
  notice: boolean;
  /** Where a notice offers to replay from. */
  replay: string | null;
  type: string;
  source: string;
  correlation: string;
  seq: number;
  epoch: string;
  timestamp: number;
}

class Queue<Value> {
  #values: Value[] = [];
  #head = 0;

  get length(): number {
    return this.#values.length - this.#head;
  }

  at(i: number): Value | undefined {
    return i < 0 ? undefined : this.#values[this.#head + i];
  }

  push(value: Value): void {
    this.#values.push(value);
  }

  shift(): Value | undefined {
    const value = this.#values[this.#head];
    if (this.#head < this.#values.length) {
      this.#head++;
      if (this.#head > 1024 && this.#head * 2 > this.#values.length) {
        this.#values = this.#values.slice(this.#head);
        this.#head = 0;
      }
    }
    return value;
  }

  clear(): void {
    this.#values = [];
    this.#head = 0;
  }
}

export interface LogLimits {
  items: number;
  chars: number;
}

export class EventLog {
  readonly limits: LogLimits;
  #all = new Queue<Item>();
  #shown = new Queue<Item>();
  #chars = 0;
  #next = 1;
  #needle = "";
  /** Rows that went from the beginning of the shown ones since the start: a reader who scrolled up stays in place. */
  shownDropped = 0;
  #dropped = 0;

  constructor(limits: LogLimits) {
    this.limits = limits;
  }

  get size(): number {
    return this.#all.length;
  }

  get chars(): number {
    return this.#chars;
  }

  get shown(): number {
    return this.#shown.length;
  }

  /** What went since the last clear(), because there was no room. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Whether a text can come without an older one going. */
  hasRoom(text: string): boolean {
    return this.#all.length === 0 || (this.#all.length < this.limits.items && this.#chars + text.length <= this.limits.chars);
  }

  row(i: number): Item | undefined {
    return this.#shown.at(i);
  }

  item(i: number): Item | undefined {
    return this.#all.at(i);
  }

  /** The place of a row among the shown ones; -1 when it is not there. */
  indexOf(n: number): number {
    let low = 0;
    let high = this.#shown.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const found = this.#shown.at(middle)!.n;
      if (found === n) {
        return middle;
      }
      if (found < n) {
        low = middle + 1;
      } else {
        high = middle - 1;
      }
    }
    return -1;
  }

  #passes(item: Item): boolean {
    return this.#needle === "" || item.notice || item.text.toLowerCase().includes(this.#needle);
  }

  append(item: Omit<Item, "n">): Item {
    const added = { ...item, n: this.#next++ };
    this.#all.push(added);
    this.#chars += added.text.length;
    if (this.#passes(added)) {
      this.#shown.push(added);
    }
    while (this.#all.length > this.limits.items || (this.#chars > this.limits.chars && this.#all.length > 1)) {
      const oldest = this.#all.shift()!;
      this.#chars -= oldest.text.length;
      this.#dropped++;
      if (this.#shown.at(0) === oldest) {
        this.#shown.shift();
        this.shownDropped++;
      }
    }
    return added;
  }

  filter(text: string): void {
    this.#needle = text.toLowerCase();
    this.#shown.clear();
    for (let i = 0; i < this.#all.length; i++) {
      const item = this.#all.at(i)!;
      if (this.#passes(item)) {
        this.#shown.push(item);
      }
    }
  }

  clear(): void {
    this.#all.clear();
    this.#shown.clear();
    this.#chars = 0;
    this.#dropped = 0;
  }

  /**
   * Takes all of another log behind its own. When that one dropped events, a notice says so in their place, and takes the
   * room of the oldest, so that it is not itself the first to go.
   */
  appendAll(other: EventLog, notice: Omit<Item, "n">): void {
    let i = 0;
    if (other.dropped > 0) {
      for (let room = 0; i < other.size - 1 && (i === 0 || room < notice.text.length); i++) {
        room += other.item(i)!.text.length;
      }
      this.append(notice);
    }
    for (; i < other.size; i++) {
      this.append(other.item(i)!);
    }
  }
}

export function eventItem(event: { event_type: string; source_service: string; correlation_id: string; seq: number; epoch: string; timestamp: number },
  text: string): Omit<Item, "n"> {
  return {
    text,
    notice: false,
    replay: null,
    type: event.event_type,
    source: event.source_service,
    correlation: event.correlation_id,
    seq: event.seq,
    epoch: event.epoch,
    timestamp: event.timestamp,
  };
}

export function noticeItem(text: string, replay: string | null = null): Omit<Item, "n"> {
  return { text, notice: true, replay, type: "", source: "", correlation: "", seq: 0, epoch: "", timestamp: Date.now() / 1000 };
}
