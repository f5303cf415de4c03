const DATA = ['.csv', '.tsv', '.parquet', '.pq', '.csv.gz', '.tsv.gz', '.csv.zst'];
const MODELS = [
  '.pkl', '.pickle', '.joblib', '.skops', '.json', '.ubj', '.bst', '.xgb', '.model', '.txt', '.lgb', '.cbm', '.onnx', '.pmml', '.pt', '.pt2', '.bin', '.dill', '.cloudpickle'
];
const NAMED = /model|booster|classifier|regressor|forest|gbm|legacy|pipeline/i;

/** Whether a file may hold rows, by its name: the server looks inside. */
export function looksLikeData(path: string): boolean {
  return DATA.some(end => path.toLowerCase().endsWith(end));
}

/** Whether a file may hold a model, by its name: the server looks inside. */
export function looksLikeModel(path: string): boolean {
  return MODELS.some(end => path.toLowerCase().endsWith(end));
}

/** The likelier model first: one that is named so before one that only could be (a .json, a .txt). */
export function modelsFirst(paths: readonly string[]): string[] {
  const rank = (path: string): number => (NAMED.test(path) ? 0 : /\.(json|txt|bin)$/i.test(path) ? 2 : 1);
  return paths.filter(looksLikeModel).sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

/** Rows to judge on before rows to learn from: a holdout or test file first. */
export function dataFirst(paths: readonly string[]): string[] {
  const rank = (path: string): number => (/holdout|test|valid|eval/i.test(path) ? 0 : /train|prod/i.test(path) ? 2 : 1);
  return paths.filter(looksLikeData).sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

/** What was selected in the file browser, told apart as well as names allow. */
export function sorted(paths: readonly string[]): { data: string[]; model: string } {
  const data = dataFirst(paths);
  return { data, model: modelsFirst(paths.filter(path => !data.includes(path)))[0] ?? '' };
}

/** The folder a file lies in, "" for the root. */
export function folderOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
}
