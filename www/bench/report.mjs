// Rows as text, for the page and the Markdown table.

/** 0.123, 4.5, 67, 890. */
export const short = (n) => (n === undefined ? '' : n >= 10 ? String(Math.round(n)) : n >= 1 ? n.toFixed(1) : n.toFixed(2));

const UNITS = { bytes: 'KB' };
export const amount = (n, unit) => (unit === 'bytes' ? short(n / 1024) : short(n));
export const unitOf = (unit) => UNITS[unit] ?? unit;

/** `Chrome 156`. */
export const nameOf = (userAgent) => /(Chrome|Firefox)\/\d+/.exec(userAgent)?.[0].replace('/', ' ') ?? userAgent;

/** A measure and, in brackets, what half of the rounds lie between and what it should be. */
function judged(part, sign) {
  if (!part) return '';
  const { ratio, low, high, target } = part;
  const spread = low === high ? '' : ` (${short(low)} to ${short(high)})`;
  return `${short(ratio)}${spread}${target === undefined ? '' : ` ${sign} ${short(target)}`}`;
}

export const gain = (row) => judged(row.tfjs, '≥');
export const limit = (row) => judged(row.raw, '≤');
export const MET = { true: 'yes', noise: 'within the noise', false: '**no**' };
export const verdict = (row) => row.met === undefined ? (row.error ?? '') : MET[row.met];

/** A contender's median, or what went wrong. */
export const cell = (row, name) => (row.values?.[name] === undefined ? row.errors?.[name] ?? row.errors?.setup ?? '' : amount(row.values[name], row.unit));

export const title = ({ work, step }) => (step ? `${work}: ${step}` : work);

function line(row) {
  const own = row.ours?.target === undefined ? '' : ` ≤ ${amount(row.ours.target, row.unit)}`;
  const values = [cell(row, 'tfjs'), cell(row, 'raw'), `${cell(row, 'ours')}${own}`];
  return [title(row), unitOf(row.unit), ...values, gain(row), limit(row), row.rounds || '', verdict(row), row.note ?? ''];
}

const HEAD = ['work', 'unit', 'TF.js', 'raw', 'tfpersist', 'TF.js / tfpersist', 'tfpersist / raw', 'rounds', 'met', 'note'];

export function markdown({ when, engine, quick, cores, rows }) {
  const table = [HEAD, HEAD.map(() => '---'), ...rows.map(line)].map((cells) => `| ${cells.map((text) => String(text).replaceAll('|', '\\|')).join(' | ')} |`);
  const judgedRows = rows.filter(({ met }) => met !== undefined);
  const met = judgedRows.filter(({ met }) => met === true).length;
  return [
    `# Benchmark of ${when}${quick ? ', quick' : ''}`, '',
    `${nameOf(engine)}, ${cores} cores. Medians; contenders took turns in one page. TF.js's saves in IndexedDB count until a second connection can`
    + ' read them. In brackets: the middle half of the rounds. Compare the ratios of one run, not milliseconds of two; "within the noise" means'
    + ' that only some rounds reach the target.', '',
    ...table, '', `${met} of ${judgedRows.length} rows with a target are met.`, '',
  ].join('\n');
}
