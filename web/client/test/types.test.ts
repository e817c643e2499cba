/*
 * What a handler knows of its events. Checked by the compiler (web/build), not at run time.
 */
import { expectTypeOf, it } from "vitest";
import type { HubEvent, NotifyHub } from "../src/index.js";

interface Setup {
  setup_id: string;
}

/* Never called: only its types are looked at. */
export function typesOf(hub: NotifyHub): void {
  hub.subscribe<"new_setup", Setup>("new_setup", (event) => {
    expectTypeOf(event.event_type).toEqualTypeOf<"new_setup">();
    expectTypeOf(event.data).toEqualTypeOf<Setup>();
    expectTypeOf(event.seq).toBeNumber();
  });
  hub.subscribe("order.*", (event) => {
    expectTypeOf(event.event_type).toEqualTypeOf<string>();
    expectTypeOf(event.data).toEqualTypeOf<unknown>();
  });
  hub.subscribe(["a", "b"], (event) => {
    expectTypeOf(event.event_type).toEqualTypeOf<"a" | "b">();
  });
  // @ts-expect-error: a handler cannot ask for what the publisher does not send
  hub.subscribe<"new_setup", Setup>("new_setup", (event: HubEvent<"new_setup", { other: number }>) => event.data.other);
}

it("is checked by the compiler", () => {
  expectTypeOf<HubEvent<"a", Setup>["data"]>().toEqualTypeOf<Setup>();
});
