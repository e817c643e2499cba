/*
 * json-view: a JSON text, laid out and coloured, byte for byte what came.
 */
import { useMemo } from "preact/hooks";
import type { JSX } from "preact";
import { layOut, tokensOf } from "../lib/json.js";

const MOST_TOKENS = 20_000; /* beyond it only text: a megabyte of spans would freeze the page */

export function JsonView({ text, label }: { text: string; label: string }): JSX.Element {
  const content = useMemo(() => {
    const tokens = tokensOf(text);
    return tokens.length > MOST_TOKENS ? layOut(text) : tokens.map((token, i) => <span key={i} data-kind={token.kind}>{token.text}</span>);
  }, [text]);
  return <pre class="json" tabIndex={0} role="region" aria-label={label}>{content}</pre>;
}
