// A client of ResolveSpec's WebSocket, in JavaScript, and a round with it: `node client.mjs [ws://host:port/ws]`. It runs in browsers, too, and in Node from 22 on.

/** Why a request was not carried out. */
export class ResolveSpecError extends Error {
  constructor({ code, message }) {
    super(`${code}: ${message}`);
    this.code = code;
  }
}

/** One connection. Requests are promises; subscriptions are functions that hear notifications. */
export class ResolveSpec {
  #socket;
  #next = 1;
  #waiting = new Map();
  #subscribed = new Map();

  /** Connects. */
  static open(url, Socket = globalThis.WebSocket) {
    return new Promise((resolve, reject) => {
      const client = new ResolveSpec(new Socket(url));
      client.#socket.addEventListener('open', () => resolve(client));
      client.#socket.addEventListener('error', () => reject(new Error(`cannot connect to ${url}`)));
    });
  }

  constructor(socket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => this.#hear(JSON.parse(data)));
    socket.addEventListener('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the connection was closed'));
      this.#waiting.clear();
    });
  }

  /** Rows: `{ data, metadata: { total, count } }`; with `recordId` one row. */
  read(entity, options = {}, recordId = undefined) {
    return this.#ask({ type: 'request', operation: 'read', entity, options, record_id: recordId });
  }

  async create(entity, data) {
    return (await this.#ask({ type: 'request', operation: 'create', entity, data })).data;
  }

  async update(entity, recordId, data) {
    return (await this.#ask({ type: 'request', operation: 'update', entity, record_id: recordId, data })).data;
  }

  async delete(entity, recordId) {
    return (await this.#ask({ type: 'request', operation: 'delete', entity, record_id: recordId })).data;
  }

  async meta(entity) {
    return (await this.#ask({ type: 'request', operation: 'meta', entity })).data;
  }

  /** Has `heard` called with each notification; what is returned ends that. */
  async subscribe(entity, heard, filters = []) {
    // A notification comes behind the answer, but may be read in the same moment: so it is looked for by then.
    const { data } = await this.#ask({ type: 'subscription', operation: 'subscribe', entity, options: { filters } }, (answer) => {
      this.#subscribed.set(answer.data.subscription_id, heard);
    });
    const id = data.subscription_id;
    return async () => {
      await this.#ask({ type: 'subscription', operation: 'unsubscribe', subscription_id: id });
      this.#subscribed.delete(id);
    };
  }

  ping() {
    return this.#ask({ type: 'ping' });
  }

  close() {
    this.#socket.close();
  }

  #ask(message, answered = () => {}) {
    const id = `${this.#next++}`;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, answered });
      this.#socket.send(JSON.stringify({ id, ...message }));
    });
  }

  #hear(message) {
    if (message.type === 'notification') {
      this.#subscribed.get(message.subscription_id)?.(message);
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.success === false) {
      waiting?.reject(new ResolveSpecError(message.error));
    } else {
      waiting?.answered(message);
      waiting?.resolve(message);
    }
  }
}

/** A round: what is said is printed. */
export async function round(url, say = console.log, Socket = globalThis.WebSocket) {
  const client = await ResolveSpec.open(url, Socket);
  const end = await client.subscribe('users', ({ operation, data }) => say(`heard: ${operation} ${JSON.stringify(data)}`), [
    { column: 'team', operator: 'eq', value: 'red' },
  ]);
  const ada = await client.create('users', { name: 'Ada', team: 'red', age: 36 });
  await client.create('users', { name: 'Bob', team: 'blue', age: 7 });
  await client.create('posts', { user_id: ada.id, title: 'Notes' });
  const { data, metadata } = await client.read('users', {
    filters: [{ column: 'age', operator: 'gte', value: 18 }],
    sort: [{ column: 'name', direction: 'asc' }],
    preload: [{ relation: 'posts' }],
  });
  say(`${metadata.count} of ${metadata.total}: ${data.map((user) => `${user.name} wrote ${user.posts.map((post) => post.title)}`)}`);
  await client.update('users', `${ada.id}`, { age: 37 });
  await client.delete('users', `${ada.id}`);
  await client.read('users', {}, `${ada.id}`).catch((error) => say(`${error.message}`));
  await end();
  client.close();
}

if (typeof process !== 'undefined' && import.meta.url === `file://${process.argv[1]}`) {
  await round(process.argv[2] ?? 'ws://127.0.0.1:8080/ws');
}
