// The first screens of a mail at two widths, light and dark: see pictures.sh.

import { chromium } from 'playwright-core';

const [mail, folder] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
for (const [width, height] of [[600, 1240], [375, 1240]]) {
    for (const colorScheme of ['light', 'dark']) {
        // A desktop's window is wider than the column, and shows what is around it.
        const viewport = { width: width === 600 ? 648 : width, height };
        const page = await browser.newPage({ viewport, colorScheme });
        await page.goto(`file://${mail}`);
        const path = `${folder}/digest-${width}-${colorScheme}.png`;
        await page.screenshot({ path });
        console.log(path);
        await page.close();
    }
}
await browser.close();
