/** The frame of the server's own small pages: no script, nothing from elsewhere, dark or light as the reader's system is. */

const style = `
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 42rem; margin: 2rem auto; padding: 0 1rem }
code { font-size: .95em }
`

/** A whole page. `title` and `body` are HTML. */
export const page = (title: string, body: string): string =>
  `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${style}</style>
</head>
<body>
<main>${body}</main>
</body>
</html>
`
