// Measures the round-trip time from this browser to each site, and posts it to Rhumb's /rtt.
//
//   <script src="beacon.js" async
//     data-post="https://rtt.example.net/rtt"
//     data-sites='{"fra": "https://fra.example.com/rtt.txt", "iad": "https://iad.example.com/rtt.txt"}'></script>
//
// Each site serves a small static object at its URL, from the machines that Rhumb answers with, and with
//
//   Timing-Allow-Origin: https://www.example.com        (the origin of the page, or *)
//
// Without that header browsers hide the parts of a cross-origin request, and nothing is posted for that site.
// Each object is fetched twice: the first opens the connection, the second is measured on it, from the request to the first
// octet. The TCP handshake of the first is taken where it was shorter. No cookies are sent; the page need not wait.
(function () {
  'use strict';

  var script = document.currentScript;
  var post = script.dataset.post;
  var sites = JSON.parse(script.dataset.sites || '{}');

  // Longest wait for one object, in milliseconds.
  var PATIENCE = 10000;

  // What was seen of each URL so far; entries may leave the browser's own buffer at any time.
  var entries = {};
  var observer = new PerformanceObserver(function (list) {
    list.getEntries().forEach(function (entry) { entries[entry.name] = entry; });
  });
  observer.observe({ type: 'resource' });

  function fetchOnce(url) {
    var options = { mode: 'no-cors', credentials: 'omit', cache: 'no-store' };
    if (typeof AbortSignal.timeout === 'function') options.signal = AbortSignal.timeout(PATIENCE);
    return fetch(url, options).then(function () { return entryOf(url); });
  }

  // The entry comes a moment after the response: a few turns are waited for it.
  function entryOf(url) {
    return new Promise(function (resolve) {
      var turns = 40;
      (function look() {
        var entry = entries[url] || performance.getEntriesByName(url, 'resource').pop();
        if (entry || turns-- === 0) resolve(entry);
        else setTimeout(look, 50);
      })();
    });
  }

  // Milliseconds of one round trip, or nothing if the browser does not tell.
  function roundTrip(entry) {
    var times = [];
    if (!entry || !entry.requestStart) return times;
    if (entry.connectEnd > entry.connectStart) {
      var end = entry.secureConnectionStart || entry.connectEnd;
      times.push(end - entry.connectStart);
    }
    times.push(entry.responseStart - entry.requestStart);
    return times.filter(function (time) { return time > 0; });
  }

  function measure(site) {
    var url = new URL(sites[site], document.baseURI);
    var fresh = function (turn) {
      url.searchParams.set('r', turn + '-' + Math.random().toString(36).slice(2));
      return url.href;
    };
    return fetchOnce(fresh('a')).then(function (first) {
      return fetchOnce(fresh('b')).then(function (second) {
        var times = roundTrip(first).concat(roundTrip(second));
        if (times.length === 0) {
          console.warn('rhumb: ' + site + ' sends no Timing-Allow-Origin for this page');
          return null;
        }
        return { site: site, rtt_ms: Math.round(Math.min.apply(null, times) * 1000) / 1000 };
      });
    }).catch(function () { return null; }); // A site that cannot be reached has no round-trip time.
  }

  // One after the other: they would slow each other down.
  Object.keys(sites).reduce(function (before, site) {
    return before.then(function (lines) {
      return measure(site).then(function (line) { return line ? lines.concat(line) : lines; });
    });
  }, Promise.resolve([])).then(function (lines) {
    observer.disconnect();
    if (lines.length === 0) return;
    var body = lines.map(function (line) { return JSON.stringify(line) + '\n'; }).join('');
    // text/plain needs no preflight; the answer is of no interest here.
    fetch(post, {
      method: 'POST', mode: 'cors', credentials: 'omit', keepalive: true,
      headers: { 'content-type': 'text/plain' }, body: body
    }).catch(function () {});
  });
})();
