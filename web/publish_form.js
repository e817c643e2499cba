/*
 * publish_form: one event by POST /events, and its answer: the event's number, or the problem (RFC 9457) in words.
 *
 * The text of "data" is sent as it was typed, so that what arrives has exactly its numbers.
 */
import { jsonMistake } from './json_text.js';

const TIMEOUT_MS = 15000;
const byId = (id) => document.getElementById(id);

function setMistake(field, mistake) {
  byId(`${field.id}-error`).textContent = mistake ?? '';
  if (mistake) {
    field.setAttribute('aria-invalid', 'true');
  } else {
    field.removeAttribute('aria-invalid');
  }
}

function dataMistake(text) {
  const mistake = text.trim() === '' ? null : jsonMistake(text);
  return mistake && `This is not valid JSON: ${mistake}`;
}

function line(kind, text) {
  const p = document.createElement('p');
  p.className = kind;
  p.textContent = text;
  return p;
}

export class PublishForm {
  #form = byId('publish');
  #type = byId('event-type');
  #source = byId('source');
  #data = byId('data');
  #send = byId('send');
  #answer = byId('answer');

  constructor() {
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#form.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        this.#submit();
      }
    });
    this.#data.addEventListener('input', () => {
      if (this.#data.hasAttribute('aria-invalid')) setMistake(this.#data, dataMistake(this.#data.value));
    });
    this.#data.addEventListener('blur', () => setMistake(this.#data, dataMistake(this.#data.value)));
    this.#type.addEventListener('input', () => setMistake(this.#type, null));
  }

  #isGood() {
    const typeMistake = this.#type.value === '' ? 'An event needs a type.' : null;
    const mistake = dataMistake(this.#data.value);

    setMistake(this.#type, typeMistake);
    setMistake(this.#data, mistake);
    if (typeMistake) {
      this.#type.focus();
    } else if (mistake) {
      this.#data.focus();
    }
    return !typeMistake && !mistake;
  }

  #body() {
    const fields = [`"event_type":${JSON.stringify(this.#type.value)}`];
    if (this.#source.value !== '') fields.push(`"source_service":${JSON.stringify(this.#source.value)}`);
    fields.push(`"data":${this.#data.value.trim() || '{}'}`);
    return `{${fields.join(',')}}`;
  }

  async #submit() {
    if (this.#send.disabled || !this.#isGood()) return;
    const start = performance.now();

    this.#send.disabled = true;
    try {
      const answer = await fetch('events', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: this.#body(),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      this.#show(answer, await answer.json().catch(() => ({})), performance.now() - start);
    } catch {
      this.#put('bad', line('title', 'The gateway cannot be reached'),
        line('detail', 'It is not known whether the event was published.'));
    } finally {
      this.#send.disabled = false;
    }
  }

  #show(answer, json, ms) {
    if (answer.ok) {
      this.#put('good', line('title', `Published as ${json.epoch}-${json.seq}`),
        line('detail', `kept: ${json.durability}, answered in ${ms.toFixed(0)} ms`),
        ...(json.ignored ? [line('detail', `ignored fields: ${json.ignored.join(', ')}`)] : []));
      return;
    }
    const more = [`${answer.status}`, json.code, json.field && `field ${json.field}`,
      json.offset !== undefined && `at byte ${json.offset}`].filter(Boolean);
    this.#put('bad', line('title', json.title ?? 'The event was refused'), line('detail', json.detail ?? ''),
      line('code', more.join(' · ')));
  }

  #put(state, ...lines) {
    this.#answer.dataset.state = state;
    this.#answer.replaceChildren(...lines);
  }
}
