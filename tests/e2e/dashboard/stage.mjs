/*
 * stage: the daemons around a scenario, which the Python side (test_dashboard*.py) starts, kills and feeds on our behalf.
 */
const address = process.env.NHUB_STAGE;

/** Has the Python side carry out one of its actions (support/stage.py); returns what that returned. */
export async function act(action, args = {}) {
  const answer = await fetch(address, { method: "POST", body: JSON.stringify({ action, args }) });
  const { value, error } = await answer.json();
  if (error) {
    throw new Error(`${action}: ${error}`);
  }
  return value;
}

/** Publishes by ZeroMQ, one event for each value; its type and source may be given. */
export function push(values, { type = "n", source = "probe", correlation } = {}) {
  const events = values.map((data) => ({ event_type: type, source_service: source, data, ...(correlation ? { correlation_id: correlation } : {}) }));
  return act("push", { events });
}

export const url = process.env.NHUB_GATEWAY_URL;
