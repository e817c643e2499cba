/*
 * main: puts the dashboard into the page.
 */
import "uplot/dist/uPlot.min.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/overview.css";
import "./styles/live.css";
import "./styles/tables.css";
import "./styles/publish.css";
import { render } from "preact";
import { App } from "./app.js";
import { watchFigures } from "./state/figures.js";

void watchFigures();
render(<App />, document.getElementById("app")!);
