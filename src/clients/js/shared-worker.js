// The worker that has the connection which tabs share. Made by `shared.js`; has nothing of its own.

import { Hub } from './hub.js';

const hub = new Hub();

self.onconnect = ({ ports: [port] }) => {
  const tab = hub.join((message) => port.postMessage(message));
  port.onmessage = ({ data }) => tab.hear(data);
};
