/* Draws charts when they come into view, follows the colour scheme, opens everything for print.
   Without it the page still says all it has to say: every chart has its table. */
(() => {
  'use strict';
  const root = document.documentElement;
  const sheet = document.querySelector('.wb');
  const all = (query, from = document) => Array.from(from.querySelectorAll(query));
  root.classList.add('js');

  let loading;
  const plotly = () => (loading ??= (async () => {
    const packed = document.getElementById('plotly').textContent.trim();
    const bytes = Uint8Array.from(atob(packed), c => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
    const script = document.createElement('script');
    script.textContent = await new Response(stream).text();
    document.head.append(script);
    return window.Plotly;
  })());

  const colored = (value, style) => {
    if (typeof value === 'string') {
      return value.startsWith('var(--c-') ? style.getPropertyValue(value.slice(4, -1)).trim() : value;
    }
    if (Array.isArray(value)) return value.map(item => colored(item, style));
    if (value && typeof value === 'object') {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, colored(item, style)]));
    }
    return value;
  };

  const paint = (Plotly, plot) => {
    const figure = colored(JSON.parse(plot.nextElementSibling.textContent), getComputedStyle(sheet));
    plot.dataset.drawn = '1';
    return Plotly.react(plot, figure.data, figure.layout, figure.config);
  };

  const draw = async plots => {
    const fresh = plots.filter(plot => !plot.dataset.drawn);
    if (!fresh.length) return;
    const Plotly = await plotly();
    for (const plot of fresh) {
      if (plot.dataset.drawn) continue;
      await paint(Plotly, plot);
      plot.closest('figure').querySelector('.numbers').open = false;
    }
  };
  const seen = from => all('.plot', from).filter(plot => !plot.closest('details:not([open])'));
  const repaint = () => window.Plotly && all('.plot[data-drawn]').forEach(plot => paint(window.Plotly, plot));

  const open = (on = true) => all('details.group, details.f').forEach(item => { item.open = on; });
  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let at = target; at; at = at.parentElement) if (at.tagName === 'DETAILS') at.open = true;
    target.scrollIntoView();
  };

  document.addEventListener('toggle', event => {
    if (event.target.open) draw(seen(event.target));
  }, true);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', repaint);
  addEventListener('hashchange', reveal);

  let closed = [];
  addEventListener('beforeprint', () => {
    closed = all('details:not([open])');
    closed.forEach(item => { item.open = true; });
    root.classList.add('print');
    if (window.Plotly) all('.plot').forEach(plot => paint(window.Plotly, plot));
  });
  addEventListener('afterprint', () => {
    closed.forEach(item => { item.open = false; });
    root.classList.remove('print');
    repaint();
  });

  const button = document.getElementById('all');
  button?.addEventListener('click', () => {
    const opened = button.getAttribute('aria-pressed') !== 'true';
    open(opened);
    button.setAttribute('aria-pressed', String(opened));
    button.textContent = opened ? 'Close all' : 'Open all';
  });

  /* #print: everything open and drawn, for a browser that makes the PDF. */
  if (location.hash === '#print') {
    open();
    root.classList.add('print');
    draw(all('.plot')).then(() => root.classList.add('ready'));
  } else {
    reveal();
    (window.requestIdleCallback ?? setTimeout)(() => draw(seen(document)));
  }
})();
