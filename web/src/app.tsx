/*
 * app: the frame around the views: name, navigation, state of the connection, and what must be said before anything else.
 */
import { useEffect } from "preact/hooks";
import type { JSX } from "preact";
import { gatewayVerdict, hubVerdict } from "./lib/stats.js";
import { Help, isHelpOpen } from "./parts/help.js";
import { Icon } from "./parts/icons.js";
import { Status } from "./parts/status.js";
import { isReached, stats } from "./state/figures.js";
import { go, hrefOf, route, VIEWS, type View } from "./state/route.js";
import { ClientsView } from "./views/clients.js";
import { LiveView } from "./views/live.js";
import { OverviewView } from "./views/overview.js";
import { PublishView } from "./views/publish.js";
import { TypesView } from "./views/types.js";

const names: Record<View, string> = {
  overview: "Overview",
  live: "Live events",
  types: "Types",
  publish: "Publish",
  clients: "Clients",
};
const views: Record<View, () => JSX.Element> = {
  overview: OverviewView,
  live: LiveView,
  types: TypesView,
  publish: PublishView,
  clients: ClientsView,
};

/** True while keys belong to a field. */
export function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

function onKey(key: KeyboardEvent): void {
  if (key.ctrlKey || key.metaKey || key.altKey || isTyping(key.target)) {
    return;
  }
  const view = VIEWS[Number(key.key) - 1];
  if (view) {
    go(view);
  } else if (key.key === "?") {
    isHelpOpen.value = true;
  }
}

/** What keeps the installation from working, on every view. */
function Banner(): JSX.Element | null {
  const gateway = gatewayVerdict(stats.value, isReached.value);
  const hub = hubVerdict(stats.value, isReached.value);
  const problem = !isReached.value ? gateway : hub.tone === "bad" ? hub : gateway.why ? gateway : hub.why ? hub : null;
  return (
    <div class="banner-place" role="alert">
      {problem?.why && (
        <p class="banner" data-tone={problem.tone}><Icon name="warning" /><span>{problem.why}</span></p>
      )}
    </div>
  );
}

function Navigation(): JSX.Element {
  return (
    <nav class="nav" aria-label="Views">
      {VIEWS.map((view) => (
        <a key={view} href={hrefOf(view)} aria-current={route.value.view === view ? "page" : undefined}>
          <Icon name={view} /><span>{names[view]}</span>
        </a>
      ))}
    </nav>
  );
}

export function App(): JSX.Element {
  const { view } = route.value;
  const View = views[view];
  useEffect(() => {
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  useEffect(() => {
    document.title = view === "overview" ? "Notification Hub" : `${names[view]} · Notification Hub`;
  }, [view]);
  return (
    <>
      <a class="skip" href="#main" onClick={(click) => {
        click.preventDefault(); /* the part behind # names the view */
        document.getElementById("main")?.focus();
      }}>Skip to the content</a>
      <header class="top">
        <a class="brand" href={hrefOf("overview")}><img src="./icon.svg" alt="" width="28" height="28" /><span>Notification Hub</span></a>
        <Navigation />
        <div class="top-end">
          <Status />
          <button type="button" class="quiet icon-only" aria-label="Keys" title="Keys (?)" onClick={() => (isHelpOpen.value = true)}><Icon name="help" /></button>
        </div>
      </header>
      <Banner />
      <main id="main" tabIndex={-1} data-view={view}>
        <h1 class="visually-hidden">{names[view]}</h1>
        <View />
      </main>
      <Help />
    </>
  );
}
