// What a person does with the model manager, and sees of it.
import assert from 'node:assert/strict';

export const field = (where, role, name) => where.getByRole(role, { name, exact: true });
export const button = (where, name) => field(where, 'button', name);
export const row = (page, url) => page.locator('#list tbody tr').filter({ has: page.getByText(url, { exact: true }) });
export const status = (page) => page.getByRole('status');
export const progress = (page) => page.getByRole('progressbar').evaluate((bar) => bar.value);

export async function says(page, words, timeout = 10_000) {
  const begins = (start) => document.querySelector('[role=status]').textContent.startsWith(start);
  await page.waitForFunction(begins, words, { timeout })
    .catch(async () => assert.fail(`waited for "${words}", the page says "${await status(page).textContent()}"`));
}

/** The predictions that the page shows, as text: every digit of them. */
export const numbers = (page) => page.locator('#numbers li').allTextContents();

export async function trainModel(page, size = 'Small') {
  const option = await field(page, 'combobox', 'Size').locator('option', { hasText: size }).getAttribute('value');
  await field(page, 'combobox', 'Size').selectOption(option);
  await button(page, 'Train').click();
  await says(page, 'Trained.', 25_000);
}

export async function saveAs(page, label, name) {
  await field(page, 'combobox', 'Store').selectOption(label);
  await field(page, 'textbox', 'Name').fill(name);
  await field(page, 'textbox', 'Name').press('Enter');
}

export async function reload(page) {
  await page.evaluate(() => { window.beforeReload = true; });
  await Promise.all([page.waitForEvent('load'), button(page, 'Reload the page').click()]);
  await says(page, 'Ready.');
  assert.equal(await page.evaluate(() => window.beforeReload), undefined, 'the page was not really reloaded');
  assert.deepEqual(await numbers(page), [], 'a model is there before one was loaded');
}

export async function loadAndCompare(page, url, before, verdict) {
  await button(page, `Load & predict ${url}`).click();
  await says(page, `Loaded ${url}.`);
  assert.equal(await page.locator('#verdict').textContent(), verdict);
  assert.deepEqual(await numbers(page), before, 'the numbers differ');
}

/** Copy or Move, with its two inputs. */
export async function transfer(page, verb, url, target) {
  await button(page, `${verb} ${url}`).click();
  const form = field(page, 'form', `${verb} ${url}`);
  await field(form, 'combobox', 'To store').selectOption(target.label);
  await field(form, 'textbox', 'New name').fill(target.name);
  await button(form, `${verb} it`).click();
}

export async function listed(page) {
  return (await page.locator('#list tbody th .url').allTextContents()).sort();
}
