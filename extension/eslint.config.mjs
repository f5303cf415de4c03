import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['lib/', 'node_modules/', 'jest.config.js', 'src/server.ts', 'src/evidence.ts'] },
  tseslint.configs.recommended,
  {
    files: ['**/*.ts', '**/*.tsx'],
    rules: {
      eqeqeq: 'error',
      'no-console': 'error',
      'max-lines': ['error', 400],
      'max-lines-per-function': ['error', 90],
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      // What a person or a file named must reach the page as text, never as markup.
      'no-restricted-properties': ['error', { property: 'innerHTML' }, { property: 'outerHTML' }, { property: 'insertAdjacentHTML' }],
      'no-restricted-syntax': [
        'error',
        { selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']", message: 'Text only: let React escape it.' }
      ]
    }
  },
  {
    // One door for HTTP; the state knows no page.
    files: ['src/**/*.ts', 'src/**/*.tsx'],
    ignores: ['src/api.ts', 'src/plugins/service.ts'],
    rules: { 'no-restricted-globals': ['error', 'fetch', 'XMLHttpRequest', 'EventSource', 'WebSocket'] }
  },
  {
    files: ['src/model.ts', 'src/api.ts', 'src/progress.ts', 'src/words.ts', 'src/stream.ts', 'src/files.ts'],
    rules: {
      'no-restricted-globals': ['error', 'document', 'window'],
      '@typescript-eslint/no-restricted-imports': ['error', { patterns: ['./views/*', 'react', '@lumino/widgets'] }]
    }
  }
);
