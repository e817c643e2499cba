/*
 * http: one request to the gateway; what is no success becomes a HubError with the code of its problem+json.
 */
import { HubError } from "./types.js";

export type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

/** The error that an answer tells. A proxy in between may answer something else than problem+json. */
export async function errorOf(answer: Response): Promise<HubError> {
  try {
    const { code, detail, title } = await answer.json();
    return new HubError(String(code ?? `http_${answer.status}`), String(detail ?? title ?? answer.statusText), answer.status);
  } catch {
    return new HubError(`http_${answer.status}`, answer.statusText || `HTTP ${answer.status}`, answer.status);
  }
}

/** The answer's text. Rejects with a HubError; `unreachable` when there was no answer. */
export async function ask(fetch: Fetch, url: string, init?: RequestInit): Promise<string> {
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(url, init);
    if (!answer.ok) {
      throw await errorOf(answer);
    }
    text = await answer.text();
  } catch (error) {
    throw error instanceof HubError ? error : new HubError("unreachable", `${url}: ${(error as Error).message}`);
  }
  return text;
}
