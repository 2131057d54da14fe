// What a shop's backend would do with one of the two clients: `node shop.cjs CLIENT URL KEY PEOPLE CARTS`, in the
// folder that the clients are installed in.
const { createRequire } = require('node:module');
const installed = createRequire(process.cwd() + '/');
const [client, url, key, people, carts] = process.argv.slice(2);

function segment() {
  const { Analytics } = installed('@segment/analytics-node');
  const analytics = new Analytics({ writeKey: key, host: url, flushAt: 20 });
  const faults = [];
  analytics.on('error', (fault) => faults.push(fault));
  return {
    identify: (userId, traits) => analytics.identify({ userId, traits }),
    page: (userId) => analytics.page({ userId, category: 'Shop', name: 'Home' }),
    track: (userId, event, properties) => analytics.track({ userId, event, properties }),
    end: async () => {
      await analytics.closeAndFlush({ timeout: 60000 });
      if (faults.length) throw new Error(JSON.stringify(faults));
    },
  };
}

function rudderstack(gzip) {
  const RudderAnalytics = installed('@rudderstack/rudder-sdk-node');
  const analytics = new RudderAnalytics(key, { dataPlaneUrl: url, gzip, flushAt: 20, flushInterval: 200 });
  const sent = [];
  const told = (send) =>
    sent.push(new Promise((done, fail) => send((fault) => (fault ? fail(fault) : done()))));
  return {
    identify: (userId, traits) => told((callback) => analytics.identify({ userId, traits }, callback)),
    page: (userId) => told((callback) => analytics.page({ userId, category: 'Shop', name: 'Home' }, callback)),
    track: (userId, event, properties) => told((callback) => analytics.track({ userId, event, properties }, callback)),
    end: () => Promise.all(sent),
  };
}

const shop = { segment, rudderstack: () => rudderstack(true), 'rudderstack, plain': () => rudderstack(false) }[client]();
for (let person = 0; person < Number(people); person++) {
  const user = `u${person}`;
  shop.identify(user, { email: `${user}@example.com`, name: 'Jo' });
  shop.page(user);
  for (let number = 0; number < Number(carts); number++) {
    shop.track(user, 'Product Added', { product_id: `p${number}`, price: 0.1 * (number + 1), quantity: 2 });
  }
  const order = { order_id: `o${person}`, total: 25.1, currency: 'CNY', products: [{ product_id: 'p1' }] };
  shop.track(user, 'Order Completed', order);
  shop.track(user, 'Order Completed', order); // a thank-you page that was loaded again
  shop.track(user, 'Song Played', { name: 'x' });
}
shop.end().then(
  () => process.exit(0),
  (fault) => {
    console.error(fault);
    process.exit(1);
  },
);
