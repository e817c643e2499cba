/*
 * route: which view is shown, and with what, kept behind the # of the address. So reloading, going back and sharing work,
 * and the gateway needs to serve one page only.
 */
import { signal } from "@preact/signals";

export const VIEWS = ["overview", "live", "types", "publish", "clients"] as const;
export type View = (typeof VIEWS)[number];

export interface Route {
  view: View;
  query: URLSearchParams;
}

export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const view = VIEWS.find((name) => name === path) ?? "overview";
  return { view, query: new URLSearchParams(query) };
}

export function hrefOf(view: View, query?: URLSearchParams): string {
  const words = query?.toString();
  return `#/${view}${words ? `?${words}` : ""}`;
}

export const route = signal<Route>(parseRoute(location.hash));

/** Goes to a view; `replace` leaves no step for the back button. */
export function go(view: View, query?: URLSearchParams, replace = false): void {
  const href = hrefOf(view, query);
  if (replace) {
    history.replaceState(null, "", href);
    route.value = parseRoute(href);
  } else {
    location.hash = href;
  }
}

addEventListener("hashchange", () => {
  route.value = parseRoute(location.hash);
});
