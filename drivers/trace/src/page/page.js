// Draws the trace that is in the page, and goes from step to step. What the trace holds reaches the screen as text
// only: nothing here makes markup from it.
'use strict';
(() => {
  const by = (id) => document.getElementById(id);
  const data = JSON.parse(by('data').textContent);
  const { steps, lanes, groups } = data;
  const SVG = by('picture').namespaceURI;

  // --- elements ----------------------------------------------------------------------------------------------------
  const fill = (node, attributes, children) => {
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== undefined && value !== null) node.setAttribute(name, value);
    }
    for (const child of children) {
      if (child !== undefined && child !== null && child !== '') node.append(child);
    }
    return node;
  };
  const html = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
  const draw = (name, attributes = {}, ...children) => fill(document.createElementNS(SVG, name), attributes, children);
  const button = (words, act) => {
    const made = html('button', { type: 'button' }, words);
    made.addEventListener('click', act);
    return made;
  };
  const pairs = (list) => list.filter(([, value]) => value !== undefined && value !== null && value !== '');

  // --- what is shown -----------------------------------------------------------------------------------------------
  const shownGroups = groups.map(() => true);
  const shownLanes = lanes.map(() => true);
  let words = '';
  let rows = []; // the places of the steps that the filter leaves
  let current = 0; // the place of the current step
  const rowOf = new Int32Array(steps.length);

  const numberOf = (place) => data.first + place;
  const placeOf = (number) => {
    const place = number - data.first;
    return place >= 0 && place < steps.length ? place : undefined;
  };
  const searched = (step) => {
    const name = step.message ? step.message.name : step.text;
    return `${lanes[step.who]} ${step.what} ${name}`.toLowerCase();
  };
  const isShown = (step) =>
    shownGroups[step.group] && shownLanes[step.who] && (words === '' || searched(step).includes(words));

  const filter = () => {
    rows = [];
    steps.forEach((step, place) => {
      rowOf[place] = isShown(step) ? rows.push(place) - 1 : -1;
    });
  };
  // The row at a step, or the first one behind it.
  const rowAt = (place) => {
    let [low, high] = [0, rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rows[middle] < place) low = middle + 1;
      else high = middle;
    }
    return Math.min(low, rows.length - 1);
  };

  // --- the machines' states: each step says what it changes --------------------------------------------------------
  const stateAt = (place) => {
    const machines = lanes.map(() => ({ conns: new Map() }));
    const apply = (change) => {
      const machine = machines[change.lane];
      if (change.down) {
        machine.conns.clear();
        Object.assign(machine, { down: true, up: undefined, reached: undefined });
      } else if (change.up !== undefined) Object.assign(machine, { up: change.up, down: false });
      else if (change.told !== undefined) machine.told = change.told;
      else if (change.reached !== undefined) machine.reached = change.reached;
      else if (change.gone) machine.conns.delete(change.conn);
      else {
        // What is told of a connection that is gone already does not bring it back.
        const conn = change.begun === undefined ? machine.conns.get(change.conn) : { state: change.begun };
        if (conn === undefined) return;
        machine.conns.delete(change.conn); // what changed last comes last
        machine.conns.set(change.conn, Object.assign(conn, change));
      }
    };
    data.before.forEach(apply);
    for (let at = 0; at <= place && at < steps.length; at++) (steps[at].state || []).forEach(apply);
    return machines;
  };

  // --- the picture -------------------------------------------------------------------------------------------------
  const ROW = 30;
  const HEAD = 46;
  const CHAR = 6.9; // a character's width, about
  const BOLD = 8;
  const FAR = 300; // an arrow over more rows than this is drawn at its ends only
  const AHEAD = 15;
  const scroller = by('scroller');
  const picture = by('picture');
  let layout = { gutter: 80, gap: 200, width: 300 };

  const measure = () => {
    const width = scroller.clientWidth;
    const narrow = width < 640;
    const gutter = narrow ? 62 : 84;
    const gap = Math.max(narrow ? 168 : 200, (width - gutter - 8) / lanes.length);
    layout = { narrow, gutter, gap, width: Math.max(width, Math.round(gutter + gap * lanes.length)) };
    by('canvas').style.width = `${layout.width}px`;
  };
  const x = (lane) => layout.gutter + layout.gap * (lane + 0.5);
  const clip = (text, room, wide = CHAR) => {
    const chars = [...text];
    const fits = Math.max(3, Math.floor(room / wide));
    return chars.length <= fits ? text : `${chars.slice(0, fits - 1).join('')}…`;
  };

  const BAD = new Set(['failed', 'lost', 'altered']);
  const SIGN = { failed: '✕', lost: '✕', altered: '≠', late: '↷', early: '↶', copy: '×2', full: '‖' };
  const marksOf = (step) => (step.message && step.message.marks) || [];
  const isBad = (step) => marksOf(step).some((mark) => BAD.has(mark.kind)) || toneOf(step) === 'bad';
  const strokeOf = (step) => {
    const kinds = marksOf(step).map((mark) => mark.kind).filter((kind) => kind !== 'early' && kind !== 'full');
    const sealed = step.message.nonce === undefined ? '' : 'sealed';
    return `${sealed} ${kinds.join(' ')}`;
  };
  const GOOD = new Set(['paired', 'connected', 'online', 'registered', 'handed_over']);
  const TROUBLE = new Set(['stopped', 'diagnosed', 'not_stored', 'offline', 'undelivered']);
  const toneOf = (step) => {
    if (step.message) return 'plain';
    if (step.what === 'interfered') return 'warn';
    if (GOOD.has(step.what)) return 'good';
    if (TROUBLE.has(step.what)) return 'bad';
    if (step.trouble) return step.what === 'closed' ? 'warn' : 'bad';
    return groups[step.group].name === 'events' || step.what === 'called' ? 'plain' : 'quiet';
  };

  // A point of an arrow's tip, back along its line.
  const tip = (x1, y1, x2, y2, kinds, colour) => {
    const long = Math.hypot(x2 - x1, y2 - y1) || 1;
    const [dx, dy] = [(x2 - x1) / long, (y2 - y1) / long];
    const at = (back, aside) => `${(x2 - dx * back - dy * aside).toFixed(1)} ${(y2 - dy * back + dx * aside).toFixed(1)}`;
    if (kinds.includes('lost')) {
      return draw('path', { class: `tip cross ${kinds}`, d: `M${at(-6, -6)}L${at(6, 6)}M${at(6, -6)}L${at(-6, 6)}` });
    }
    return draw('path', { class: `tip ${kinds} ${colour}`, d: `M${at(0, 0)}L${at(11, -5)}L${at(11, 5)}Z` });
  };
  const line = (into, from, to, kinds, colour) => {
    const [[x1, y1], [x2, y2]] = [from, to];
    const d = x1 === x2
      ? `M${x1} ${y1}C${x1 + 46} ${y1} ${x2 + 46} ${y2} ${x2 + 4} ${y2}`
      : `M${x1.toFixed(1)} ${y1}L${x2.toFixed(1)} ${y2}`;
    into.append(draw('path', { class: `arrow ${kinds} ${colour}`, d }));
    into.append(tip(x1 === x2 ? x1 + 30 : x1, y1, x1 === x2 ? x2 + 4 : x2, y2, kinds, colour));
  };

  // The arrow of a message: from where it was sent to where it came, if both are here.
  const arrow = (into, place, top, last) => {
    const step = steps[place];
    const message = step.message;
    const row = rowOf[place];
    const y = (at) => (at - top + 0.5) * ROW;
    const own = x(step.who);
    const peer = message.peer === undefined ? undefined : x(message.peer);
    const other = message.other === undefined ? undefined : placeOf(message.other);
    const otherRow = other === undefined ? -1 : rowOf[other];
    const isHere = place === current || (other !== undefined && other === current);
    const kinds = `${strokeOf(step)}${isHere ? ' of-current' : ''}`;
    const colour = `g-${groups[step.group].name}`;
    if (message.sent) {
      if (peer === undefined) return;
      const lost = marksOf(step).some((mark) => mark.kind === 'lost');
      // What came is drawn by its arrival.
      if (!lost && otherRow >= 0 && Math.abs(otherRow - row) <= FAR) return;
      if (row < top || row > last) return;
      const end = lost ? own + (peer - own) * 0.62 : peer;
      const short = !lost && other !== undefined;
      const far = short ? own + Math.sign(peer - own) * layout.gap * 0.5 : end;
      line(into, [own, y(row)], [far, y(row) + (lost || short ? ROW * 0.6 : 0)], kinds, colour);
      return;
    }
    if (otherRow >= 0 && Math.abs(otherRow - row) <= FAR) {
      if (Math.min(row, otherRow) > last || Math.max(row, otherRow) < top) return;
      line(into, [x(steps[other].who), y(otherRow)], [own, y(row)], kinds, colour);
    } else if (row >= top && row <= last && peer !== undefined) {
      const from = other === undefined ? peer : own + Math.sign(peer - own) * layout.gap * 0.5;
      line(into, [from, y(row) - (other === undefined ? 0 : ROW * 0.6)], [own, y(row)], kinds, colour);
    }
  };

  // The words beside a message's end, towards the other one.
  const label = (step, y) => {
    const { message } = step;
    const own = x(step.who);
    const peer = message.peer === undefined ? own + 1 : x(message.peer);
    const right = peer >= own;
    const marks = marksOf(step);
    let room = Math.max(Math.abs(peer - own), layout.gap) - 24;
    const text = draw('text', {
      x: right ? own + 12 : own - 12,
      y: message.sent ? y - 4 : y + 12,
      'text-anchor': right ? 'start' : 'end',
    });
    const say = (kind, piece) => {
      if (room < 3 * CHAR) return;
      const wide = kind === 'rest' || kind.endsWith('seen') ? CHAR : BOLD;
      const clipped = clip(piece, room, wide);
      room -= [...clipped].length * wide;
      text.append(draw('tspan', { class: kind }, clipped));
    };
    for (const mark of marks) {
      const short = mark.kind === 'failed' ? 'failed' : mark.words;
      say(`mark ${BAD.has(mark.kind) ? 'bad' : ''}`, `${SIGN[mark.kind]} ${short}  `);
    }
    const told = !message.sent && message.other !== undefined && marks.length === 0;
    say(`name g-${groups[step.group].name}${told ? ' seen' : ''}`, message.name);
    say('rest', ` ${message.bytes} B`);
    if (message.nonce !== undefined) say('rest', ` #${message.nonce}`);
    const layer = ` · ${groups[step.group].name}`;
    if (!told && layer.length * CHAR <= room) say('rest', layer);
    return text;
  };

  const shape = (step, cx, cy) => {
    switch (step.what) {
      case 'started': return draw('path', { class: 'event', d: `M${cx - 7} ${cy + 5}h14l-7 -12z` });
      case 'stopped': return draw('path', { class: 'stroke', d: `M${cx - 7} ${cy - 7}l14 14m0 -14l-14 14` });
      case 'dialled': case 'accepted': return draw('circle', { class: 'event hollow', cx, cy, r: 4.5 });
      case 'opened': return draw('circle', { class: 'event', cx, cy, r: 4.5 });
      case 'closing': return draw('path', { class: 'stroke', d: `M${cx - 7} ${cy}h14` });
      case 'closed': return draw('path', { class: 'stroke', d: `M${cx - 7} ${cy - 3}h14m-14 6h14` });
      case 'tick': return draw('path', { class: 'stroke', d: `M${cx - 4} ${cy}h8` });
      case 'called': return draw('path', { class: 'event', d: `M${cx - 5} ${cy - 6}v12l10 -6z` });
      case 'ended': return draw('rect', { class: 'event', x: cx - 5.5, y: cy - 5.5, width: 11, height: 11 });
      case 'diagnosed': return draw('path', { class: 'event hollow', d: `M${cx - 8} ${cy + 6}h16l-8 -14z` });
      case 'storing': case 'stored': case 'not_stored':
        return draw('rect', { class: 'event hollow', x: cx - 4.5, y: cy - 4.5, width: 9, height: 9 });
      default: return draw('path', { class: 'event', d: `M${cx} ${cy - 7}l7 7l-7 7l-7 -7z` });
    }
  };

  const remark = (into, step, y) => {
    if (step.what === 'interfered') {
      into.append(draw('path', { class: 'world', d: `M${layout.gutter} ${y}H${layout.width}` }));
      into.append(draw('text', { class: 'words', x: layout.gutter + 8, y: y + 4 }, clip(`⚡ ${step.text}`, layout.width - layout.gutter - 16)));
      return;
    }
    const own = x(step.who);
    const left = step.who === lanes.length - 1 && lanes.length > 1;
    const room = left ? own - layout.gutter - 20 : layout.width - own - 16;
    into.append(shape(step, own, y));
    into.append(draw('text', {
      class: 'words', x: left ? own - 14 : own + 14, y: y + 4, 'text-anchor': left ? 'end' : 'start',
    }, clip(step.text, room, ['bad', 'warn'].includes(toneOf(step)) ? BOLD : CHAR)));
  };

  // Where machines start and stop, for their lifelines.
  const turns = lanes.map(() => []);
  for (const change of data.before) {
    if (change.up !== undefined || change.down) turns[change.lane].push([-1, !change.down]);
  }
  steps.forEach((step, place) => {
    for (const change of step.state || []) {
      if (change.up !== undefined || change.down) turns[change.lane].push([place, !change.down]);
    }
  });
  const life = (into, lane, top, last) => {
    const to = (last - top + 1) * ROW;
    let [y, on] = [0, turns[lane].length === 0];
    const until = (end) => {
      if (end > y) into.append(draw('path', { class: on ? 'life' : 'life off', d: `M${x(lane)} ${y}V${end}` }));
      y = Math.max(y, end);
    };
    const [from, behind] = [rows[top], rows[last]];
    let turn = 0;
    let high = turns[lane].length;
    while (turn < high) { // those before the window count only by the last of them
      const middle = (turn + high) >> 1;
      if (turns[lane][middle][0] < from) turn = middle + 1;
      else high = middle;
    }
    if (turn > 0) on = turns[lane][turn - 1][1];
    for (; turn < turns[lane].length && turns[lane][turn][0] <= behind; turn++) {
      until((rowAt(turns[lane][turn][0]) - top + 0.5) * ROW);
      on = turns[lane][turn][1];
    }
    until(to);
  };

  // Only the rows that can be seen are drawn, and some around them.
  const render = () => {
    const height = scroller.clientHeight;
    const top = Math.max(0, Math.floor(scroller.scrollTop / ROW) - AHEAD);
    const last = Math.min(rows.length - 1, Math.ceil((scroller.scrollTop + height) / ROW) + AHEAD);
    const [lives, bands, arrows, labels] = ['g', 'g', 'g', 'g'].map((name) => draw(name));
    picture.style.top = `${HEAD + top * ROW}px`;
    picture.setAttribute('width', layout.width);
    picture.setAttribute('height', Math.max(0, (last - top + 1) * ROW));
    if (rows.length > 0) {
      lanes.forEach((_, lane) => life(lives, lane, top, last));
      for (let row = Math.max(0, top - FAR); row <= Math.min(rows.length - 1, last + FAR); row++) {
        if (steps[rows[row]].message) arrow(arrows, rows[row], top, last);
      }
    }
    for (let row = top; row <= last; row++) {
      const place = rows[row];
      const step = steps[place];
      const y = (row - top + 0.5) * ROW;
      const name = `row tone-${toneOf(step)}${place === current ? ' current' : ''}${isBad(step) ? ' bad' : ''}`;
      // The band lies below the arrows, the words above them; both can be clicked.
      bands.append(draw('g', { class: name, 'data-step': numberOf(place) },
        draw('rect', { class: 'hit', x: 1, y: y - ROW / 2 + 0.5, width: layout.width - 2, height: ROW - 1, rx: 4 })));
      const group = draw('g', { class: name, 'data-step': numberOf(place) });
      if (step.message) {
        group.append(label(step, y));
        group.append(draw('circle', { class: `dot g-${groups[step.group].name}`, cx: x(step.who), cy: y, r: 4.5 }));
        if (isBad(step)) group.append(draw('circle', { class: 'ring', cx: x(step.who), cy: y, r: 8.5 }));
      } else remark(group, step, y);
      // The times stay where they are when the lanes move.
      const shift = scroller.scrollLeft;
      if (shift > 0) group.append(draw('rect', { class: 'gutter', x: shift, y: y - ROW / 2, width: layout.gutter - 4, height: ROW }));
      group.append(draw('text', { class: 'time', x: shift + layout.gutter - 8, y: y + 4, 'text-anchor': 'end' },
        `${place === current ? '▸ ' : ''}${layout.narrow ? step.time.replace(/ s$/, '') : step.time}`));
      labels.append(group);
    }
    picture.replaceChildren(bands, lives, arrows, labels);
  };
  let isDue = false;
  const renderSoon = () => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      render();
    });
  };

  // --- the step in words -------------------------------------------------------------------------------------------
  const sentence = (step) => {
    const who = lanes[step.who];
    const { message } = step;
    if (!message) return step.what === 'interfered' ? step.text : `${who}: ${step.text}`;
    const other = message.peer === undefined ? '' : ` ${message.sent ? 'to' : 'from'} ${lanes[message.peer]}`;
    const nonce = message.nonce === undefined ? '' : `, #${message.nonce}`;
    const marks = marksOf(step).map((mark) => `; ${mark.words}`).join('');
    return `${who} ${message.sent ? 'sends' : 'receives'} ${message.name} (${groups[step.group].name}, `
      + `${message.bytes} B${nonce})${other}${marks}`;
  };
  const wall = (step) => {
    const time = new Date(data.wall + step.at / 1000);
    return Number.isNaN(time.getTime()) ? undefined : time.toISOString().replace('T', ' ').replace('Z', ' UTC');
  };
  const showStep = () => {
    const step = steps[current];
    const message = step.message || {};
    const other = message.other === undefined ? undefined : placeOf(message.other);
    const about = html('dl');
    const facts = pairs([
      ['Time', step.time], ['Clock', wall(step)], ['Party', step.what === 'interfered' ? undefined : lanes[step.who]],
      ['Connection', step.conn], ['Layer', step.message && groups[step.group].name],
      ['Length', step.message && `${message.bytes} B`], ['Nonce', message.nonce], ['Hash', message.hash],
      ['Line', step.line],
    ]);
    for (const [name, value] of facts) about.append(html('dt', {}, name), html('dd', {}, String(value)));
    const marks = marksOf(step).map((mark) =>
      html('li', { class: BAD.has(mark.kind) ? 'bad' : undefined }, `${SIGN[mark.kind]} ${mark.words}`));
    by('step').replaceChildren(
      html('h2', {}, `Step ${numberOf(current)} of ${data.total}`),
      html('p', { class: `what${isBad(step) ? ' bad' : ''}` }, sentence({ ...step, message: step.message && { ...message, marks: [] } })),
      html('ul', {}, ...marks), about,
      other === undefined ? '' : button(message.sent ? 'Where it came' : 'Where it was sent', () => reveal(other)),
    );
    by('live').textContent = `${numberOf(current)}/${data.total} · ${step.time} · ${sentence(step)}`;
  };
  const CONNS = 8;
  const showMachines = () => {
    const machines = stateAt(current);
    const cards = machines.map((machine, lane) => {
      if (lane === data.outside) return '';
      const conns = [...machine.conns].reverse();
      const list = html('ul', {}, ...conns.slice(0, CONNS).map(([name, conn]) =>
        html('li', {}, html('b', {}, name), ` ${conn.state || 'open'}`, conn.last ? html('small', {}, conn.last) : '')));
      if (conns.length > CONNS) list.append(html('li', {}, `and ${conns.length - CONNS} more`));
      return html('section', {
        class: `machine${machine.down ? ' down' : ''}${steps[current].who === lane ? ' acts' : ''}`,
        'aria-label': lanes[lane],
      },
        html('h3', {}, lanes[lane], html('span', {}, status(machine))),
        machine.reached ? html('p', {}, machine.reached) : '',
        machine.told ? html('p', {}, `Told last: ${machine.told}`) : '',
        conns.length > 0 ? list : '');
    });
    by('machines').replaceChildren(...cards.filter((card) => card !== ''));
    by('heads').replaceChildren(...machines.map((machine, lane) => {
      const head = html('div', { class: `head${machine.down ? ' down' : ''}`, title: lanes[lane] },
        html('b', {}, lanes[lane]), html('small', {}, lane === data.outside ? 'not in the trace' : brief(machine)));
      head.style.left = `${x(lane) - layout.gap / 2}px`;
      head.style.width = `${layout.gap}px`;
      return head;
    }));
  };
  const status = (machine) => {
    if (machine.down) return '✕ down';
    return machine.up === undefined ? '' : `▲ ${machine.up}`;
  };
  const brief = (machine) => {
    const { size } = machine.conns;
    const conns = size === 0 || machine.down ? '' : `${size} connection${size === 1 ? '' : 's'}`;
    return [status(machine).split(', reorder window')[0], conns].filter(Boolean).join(', ') || 'has not started';
  };

  // --- going -------------------------------------------------------------------------------------------------------
  const follow = () => {
    const row = rowOf[current];
    if (row < 0) return;
    const room = scroller.clientHeight - HEAD;
    const y = row * ROW;
    if (y < scroller.scrollTop + ROW * 2 || y > scroller.scrollTop + room - ROW * 3) {
      scroller.scrollTop = Math.max(0, y - room * 0.45);
    }
    const own = x(steps[current].who);
    const { scrollLeft, clientWidth } = scroller;
    if (own < scrollLeft + layout.gutter + 20 || own > scrollLeft + clientWidth - 60) {
      scroller.scrollLeft = own - clientWidth / 2;
    }
  };
  let linking;
  const link = () => {
    const parts = [`step=${numberOf(current)}`];
    const some = (list) => list.some((shown) => !shown);
    if (some(shownGroups)) parts.push(`layers=${groups.filter((_, at) => shownGroups[at]).map((group) => group.name).join(',')}`);
    if (some(shownLanes)) parts.push(`parties=${lanes.map((_, at) => at + 1).filter((at) => shownLanes[at - 1]).join(',')}`);
    if (words !== '') parts.push(`find=${encodeURIComponent(words)}`);
    const fragment = `#${parts.join('&')}`;
    // Browsers take only so many a second.
    clearTimeout(linking);
    linking = setTimeout(() => {
      try {
        if (location.hash !== fragment) history.replaceState(null, '', fragment);
      } catch {
        // A browser that does not allow it here shows the step all the same.
      }
    }, 60);
  };
  const go = (place) => {
    if (steps.length === 0) return;
    current = Math.max(0, Math.min(steps.length - 1, place));
    by('slider').value = numberOf(current);
    by('slider').setAttribute('aria-valuetext', `step ${numberOf(current)} of ${data.total}`);
    const row = rowOf[current];
    by('first').disabled = by('previous').disabled = rows.length === 0 || row === 0;
    by('last').disabled = by('next').disabled = rows.length === 0 || row === rows.length - 1;
    showStep();
    showMachines();
    follow();
    renderSoon();
    link();
  };
  // Goes there, also if the filter hides it.
  const reveal = (place) => {
    const step = steps[place];
    if (!isShown(step)) {
      shownGroups[step.group] = true;
      shownLanes[step.who] = true;
      if (!isShown(step)) setWords('');
      refilter(place);
    } else go(place);
  };
  const goRow = (row) => {
    if (rows.length > 0) go(rows[Math.max(0, Math.min(rows.length - 1, row))]);
  };
  const move = (by) => {
    const row = rowAt(current);
    // A step that is hidden lies before the row behind it.
    goRow(rowOf[current] < 0 && by > 0 && rows[row] > current ? row + by - 1 : row + by);
  };
  const troubles = steps.flatMap((step, place) => (step.trouble ? [place] : []));
  const nextFailure = (back) => {
    if (troubles.length === 0) return;
    const found = back ? troubles.findLast((place) => place < current) : troubles.find((place) => place > current);
    reveal(found ?? troubles.at(back ? -1 : 0));
  };

  // --- the filter --------------------------------------------------------------------------------------------------
  const boxes = [];
  const chip = (into, list, at, name, swatch) => {
    const box = html('input', { type: 'checkbox', 'data-name': name });
    box.checked = list[at];
    box.addEventListener('change', () => {
      list[at] = box.checked;
      refilter(current);
    });
    boxes.push(() => {
      box.checked = list[at];
    });
    into.append(html('label', { class: 'chip', title: name }, box, swatch ? html('i', { class: `swatch g-${name}` }) : '', html('span', {}, name)));
  };
  const setWords = (text) => {
    words = text.trim().toLowerCase();
    if (by('find').value.trim().toLowerCase() !== words) by('find').value = text;
  };
  const refilter = (place) => {
    filter();
    boxes.forEach((update) => update());
    const hidden = steps.length - rows.length;
    by('hidden-count').textContent = hidden === 0 ? '' : `(${hidden} of ${steps.length} steps are hidden)`;
    by('canvas').style.height = `${HEAD + Math.max(4, rows.length) * ROW}px`;
    by('nothing').hidden = rows.length > 0;
    go(rows.length === 0 || rowOf[place] >= 0 ? place : rows[rowAt(place)]);
  };
  const readLink = () => {
    const asked = new URLSearchParams(location.hash.slice(1));
    const only = (list, names, asked) => list.forEach((_, at) => {
      list[at] = asked === null || asked.split(',').includes(names(at));
    });
    only(shownGroups, (at) => groups[at].name, asked.get('layers'));
    only(shownLanes, (at) => String(at + 1), asked.get('parties'));
    setWords((asked.get('find') || '').slice(0, 100));
    const number = Number.parseInt(asked.get('step') || '', 10);
    const place = Number.isNaN(number) ? undefined : placeOf(number);
    refilter(place ?? current);
  };

  // --- the diagnosis -----------------------------------------------------------------------------------------------
  const finding = (told) => {
    const about = html('dl');
    const where = [told.who, told.conn === undefined ? undefined : `connection ${told.conn}`].filter(Boolean).join(', ');
    const when = told.at && `${told.at}${told.line === undefined ? '' : ` (line ${told.line})`}`;
    const facts = pairs([
      ['Where', where], ['In step', told.step], ['When', when],
      ['Whose fault', told.wrong ? told.fault : undefined], ['It said', told.words],
      ['What to do', told.wrong ? told.advice : undefined],
    ]);
    for (const [name, value] of facts) about.append(html('div', {}, html('dt', {}, name), html('dd', {}, value)));
    const jumps = told.jumps.filter((jump) => placeOf(jump.to) !== undefined).map((jump) => {
      const made = button(jump.label, () => {
        reveal(placeOf(jump.to));
        scroller.scrollIntoView({ block: 'nearest' });
      });
      made.setAttribute('data-jump', jump.to);
      return made;
    });
    const kind = !told.wrong ? ' fine' : told.weak ? ' weak' : '';
    return html('div', { class: `finding${kind}` },
      html('p', { class: 'means' }, html('span', { class: 'cause' }, told.cause), told.means),
      about, jumps.length > 0 ? html('div', { class: 'jumps' }, ...jumps) : '');
  };
  const diagnose = () => {
    const [first, ...others] = data.findings;
    by('diagnosis').append(finding(first));
    if (others.length === 0) return;
    const count = others.length + data.moreFindings;
    by('diagnosis').append(html('details', {},
      html('summary', {}, count === 1 ? 'One more finding' : `${count} more findings`),
      html('div', {}, ...others.map(finding))));
  };

  // --- help --------------------------------------------------------------------------------------------------------
  const KEYS = [
    ['→ ↓', 'next step'], ['← ↑', 'previous step'], ['PgDn PgUp', 'ten steps on or back'], ['Home End', 'first or last step'],
    ['f F', 'next or previous failure'], ['/', 'filter by words'], ['?', 'this help'], ['Esc', 'close it'],
  ];
  const SIGNS = [
    ['', 'a message in clear, from where it was sent to where it came'], ['sealed', 'a sealed frame'],
    ['lost', 'it never came'], ['late', 'it came late: others overtook it'], ['copy', 'a copy, or sent back'],
    ['altered', 'it came altered, or cut short'], ['sealed failed', 'the connection ended at it'],
  ];
  const explainSigns = () => {
    for (const [key, means] of KEYS) {
      by('keys').append(html('dt', {}, ...key.split(' ').flatMap((one) => [html('kbd', {}, one), ' '])), html('dd', {}, means));
    }
    for (const [kinds, means] of SIGNS) {
      const sample = draw('svg', { width: 84, height: 20, 'aria-hidden': 'true' });
      line(sample, [2, 10], [kinds === 'lost' ? 60 : 80, 10], kinds, '');
      by('signs').append(html('li', {}, sample, means));
    }
  };
  const help = (open) => {
    const dialog = by('help');
    if (open && !dialog.open) dialog.showModal();
    else if (!open && dialog.open) dialog.close();
  };

  // --- input -------------------------------------------------------------------------------------------------------
  const ACTIONS = {
    ArrowRight: () => move(1), ArrowDown: () => move(1), ArrowLeft: () => move(-1), ArrowUp: () => move(-1),
    PageDown: () => move(10), PageUp: () => move(-10), Home: () => goRow(0), End: () => goRow(rows.length - 1),
    f: () => nextFailure(false), F: () => nextFailure(true), '?': () => help(true),
    '/': () => {
      by('filters').open = true;
      by('find').focus();
    },
  };
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || by('help').open) return;
    const { target } = event;
    const isText = target.type === 'search';
    if (event.key === 'Escape' && isText) target.blur();
    if (isText || (target.type === 'range' && event.key.length > 1)) return;
    const act = Object.hasOwn(ACTIONS, event.key) ? ACTIONS[event.key] : undefined;
    if (act) {
      event.preventDefault();
      act();
    }
  });
  by('first').addEventListener('click', ACTIONS.Home);
  by('previous').addEventListener('click', ACTIONS.ArrowLeft);
  by('next').addEventListener('click', ACTIONS.ArrowRight);
  by('last').addEventListener('click', ACTIONS.End);
  by('next-failure').addEventListener('click', () => nextFailure(false));
  by('next-failure').disabled = troubles.length === 0;
  by('show-help').addEventListener('click', () => help(true));
  by('slider').addEventListener('input', (event) => {
    const place = placeOf(Number(event.target.value));
    if (rows.length === 0 || place === undefined) return;
    goRow(rowAt(place));
  });
  by('find').addEventListener('input', (event) => {
    setWords(event.target.value);
    refilter(current);
  });
  by('show-all').addEventListener('click', () => {
    shownGroups.fill(true);
    shownLanes.fill(true);
    setWords('');
    refilter(current);
  });
  picture.addEventListener('click', (event) => {
    const row = event.target.closest('[data-step]');
    if (row) go(placeOf(Number(row.getAttribute('data-step'))));
  });
  scroller.addEventListener('scroll', renderSoon, { passive: true });
  window.addEventListener('hashchange', readLink);
  new ResizeObserver(() => {
    measure();
    if (steps.length > 0) showMachines();
    renderSoon();
  }).observe(scroller);

  // --- the start ---------------------------------------------------------------------------------------------------
  by('title').textContent = data.title;
  document.title = `${data.title}: ${data.findings[0].cause}`;
  const count = (n, one) => `${n} ${one}${n === 1 ? '' : 's'}`;
  by('about').textContent = [
    count(lanes.length - (data.outside === null ? 0 : 1), 'part').replace(/part$/, 'party').replace(/parts$/, 'parties'),
    count(data.total, 'step'),
    data.paired > 0 ? `a pairing has succeeded, as ${count(data.paired, 'side')} told` : '',
    data.connected > 0 ? `a connection was established, as ${count(data.connected, 'side')} told` : '',
  ].filter(Boolean).join(' · ');
  if (steps.length < data.total) {
    by('left-out').hidden = false;
    by('left-out').textContent = `The trace has ${data.total} steps. This page shows those from ${data.first} to `
      + `${data.first + steps.length - 1}.`;
  }
  by('slider').min = data.first;
  by('slider').max = data.first + Math.max(0, steps.length - 1);
  by('filters').open = window.innerWidth > 860;
  lanes.forEach((name, at) => {
    if (at !== data.outside) chip(by('parties'), shownLanes, at, name, false);
  });
  groups.forEach((group, at) => chip(by(group.layer ? 'layers' : 'others'), shownGroups, at, group.name, group.layer));
  diagnose();
  explainSigns();
  measure();
  // Without a link the page opens where the diagnosis points.
  const [jump] = data.findings[0].jumps;
  current = (jump && placeOf(jump.to)) ?? 0;
  readLink();
})();
