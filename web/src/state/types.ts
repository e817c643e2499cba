/*
 * types: asks for the event types while their view is shown. The newest values come along as long as there are few types;
 * of many types they would be megabytes, and one is asked for when its row is opened.
 */
import { elementTexts, memberText } from "../lib/json.js";
import { RateMemory, type TypeRow, type TypesPage } from "../lib/types-table.js";
import { text } from "./gateway.js";
import { Poll } from "./poll.js";

const FEW = 200;
const MOST = 5_000; /* rows in the table; a filter finds among these */

export interface Types {
  rows: TypeRow[];
  total: number;
  forgotten: number;
}

export const rates = new RateMemory();
let known = 0;

export const types = new Poll<Types>(2_000, async (signal) => {
  const rows: TypeRow[] = [];
  const withValues = known <= FEW;
  let page: TypesPage;
  let after = "";
  do {
    const answer = await text(`/types?limit=1000${withValues ? "&values=true" : ""}${after}`, { signal });
    page = JSON.parse(answer) as TypesPage;
    rows.push(...(withValues ? withTexts(page.types, answer) : page.types));
    after = `&after=${page.next}`;
  } while (page.more && rows.length < MOST);
  known = page.total;
  rates.add(rows);
  return { rows, total: page.total, forgotten: page.forgotten };
});

/** Events as texts, because their numbers are shown as they were sent. */
function withTexts(rows: TypeRow[], answer: string): TypeRow[] {
  const texts = elementTexts(memberText(answer, "types"));
  return rows.map((row, i) => ({ ...row, event: memberText(texts[i] ?? "", "event") }));
}

/** The newest event of a type, as text; "" when it is not kept any more. */
export async function newestOf(row: TypeRow): Promise<string> {
  if (row.event) {
    return row.event;
  }
  const [epoch, seq] = row.position.split("-");
  const query = new URLSearchParams({ event_type: row.event_type, since: `${epoch}-${Number(seq) - 1}`, limit: "1" });
  return elementTexts(memberText(await text(`/events?${query}`), "events"))[0] ?? "";
}
