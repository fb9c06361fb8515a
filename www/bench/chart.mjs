// Rows as bars: one group a row, a bar a contender, the longest as wide as the page.
import { amount, title, unitOf } from './report.mjs';
import { CONTENDERS } from './run.mjs';

function element(name, className, text, children = []) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
}

function bar(row, name, longest) {
  const value = row.values?.[name];
  const failed = row.errors?.[name] ?? row.errors?.setup;
  if (value === undefined && !failed) return [];
  const filled = element('span', `bar ${name}`);
  filled.style.inlineSize = value === undefined ? '0' : `${Math.max(value / longest * 100, 0.4)}%`;
  const text = value === undefined ? failed : `${amount(value, row.unit)} ${unitOf(row.unit)}`;
  return [element('dt', '', CONTENDERS[name]), element('dd', value === undefined ? 'failed' : '', undefined, [filled, element('span', 'value', text)])];
}

const VERDICTS = { true: ['good', 'target met'], noise: ['', 'target within the noise'], false: ['bad', 'target missed'] };

function facts(row) {
  const said = [];
  const { tfjs, raw, ours } = row;
  if (tfjs) said.push(`TF.js / tfpersist ${tfjs.ratio.toFixed(1)}${tfjs.target === undefined ? '' : ` (target ${tfjs.target.toFixed(1)} or more)`}`);
  if (raw) said.push(`tfpersist / raw ${raw.ratio.toFixed(2)}${raw.target === undefined ? '' : ` (target ${raw.target.toFixed(2)} or less)`}`);
  if (ours) said.push(`target ${amount(ours.target, row.unit)} ${unitOf(row.unit)} or less`);
  if (row.note) said.push(row.note);
  if (row.error) said.push(row.error);
  return said.join(' · ');
}

function group(row) {
  const longest = Math.max(...Object.values(row.values ?? {}));
  const [className, text] = VERDICTS[row.met] ?? [];
  const heading = element('h3', '', title(row), text ? [element('span', `badge ${className}`, text)] : []);
  const bars = element('dl', 'bars', undefined, Object.keys(CONTENDERS).flatMap((name) => bar(row, name, longest)));
  return element('article', 'row', undefined, [heading, bars, element('p', 'hint', facts(row))]);
}

/** Shows the rows in place of what was there. */
export function draw(place, rows) {
  place.replaceChildren(...rows.map(group));
}
