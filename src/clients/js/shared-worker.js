// The worker that has the connection which tabs share. Made by `shared.js`; has nothing of its own.

import { Hub } from './hub.js';

const hub = new Hub();

self.onconnect = ({ ports: [port] }) => {
  const tab = hub.join((message) => port.postMessage(message));
  port.onmessage = ({ data }) => {
    // The lock is the tab's until it has said goodbye, or is gone without a word.
    if (data.lock === undefined) tab.hear(data);
    else navigator.locks.request(data.lock, () => tab.hear({ close: true })).catch(() => {});
  };
};
