// Undo and redo: a list of sheets of which one is shown.

const MOST_SHEETS = 200;

function sheetHistory(first) {
  let sheets = [first];
  let shown = 0;
  return {
    /** A new sheet follows the one that is shown; what had been undone is gone, the oldest too where there are many. */
    push(sheet) {
      sheets = [...sheets.slice(0, shown + 1), sheet].slice(-MOST_SHEETS);
      shown = sheets.length - 1;
    },
    can: (step) => shown + step >= 0 && shown + step < sheets.length,
    /** Show the sheet `step` further (-1: undo); gives it. */
    go(step) {
      shown += step;
      return sheets[shown];
    },
  };
}
