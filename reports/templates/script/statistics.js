// ---- statistics: the same rules as harness/statistics/paired.py, so that another baseline can be chosen here
function logGamma(x) {
  const c = [76.18009172947146, -86.50532032941677, 24.01409824083091, -1.231739572450155, 1.208650973866179e-3, -5.395239384953e-6];
  let y = x, sum = 1.000000000190015;
  for (const k of c) sum += k / ++y;
  return -(x + 5.5 - (x + 0.5) * Math.log(x + 5.5)) + Math.log(2.5066282746310005 * sum / x);
}
function betaFraction(a, b, x) {
  let c = 1, d = 1 - (a + b) * x / (a + 1);
  d = 1 / (Math.abs(d) < 1e-300 ? 1e-300 : d);
  let h = d;
  for (let m = 1; m < 500; m++) {
    for (const t of [m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))]) {
      d = 1 + t * d; c = 1 + t / c;
      d = 1 / (Math.abs(d) < 1e-300 ? 1e-300 : d);
      if (Math.abs(c) < 1e-300) c = 1e-300;
      h *= d * c;
    }
    if (Math.abs(d * c - 1) < 1e-14) break;
  }
  return h;
}
function incompleteBeta(a, b, x) {
  if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x));
  return x < (a + 1) / (a + b + 2) ? front * betaFraction(a, b, x) / a : 1 - front * betaFraction(b, a, 1 - x) / b;
}
function upperT(t, df) {
  const tail = 0.5 * incompleteBeta(df / 2, 0.5, df / (df + t * t));
  return t >= 0 ? tail : 1 - tail;
}
function quantileT(p, df) {
  let low = 0, high = 1;
  while (upperT(high, df) > 1 - p) high *= 2;
  for (let i = 0; i < 80; i++) { const middle = (low + high) / 2; upperT(middle, df) > 1 - p ? low = middle : high = middle; }
  return high;
}
function holm(p) {
  const order = p.map((_, i) => i).sort((a, b) => p[a] - p[b] || a - b), adjusted = [], rank = [];
  let largest = 0;
  order.forEach((i, k) => { largest = Math.max(largest, p[i] * (p.length - k)); adjusted[i] = Math.min(largest, 1); rank[i] = k; });
  return [adjusted, rank];
}
function judge(family) {
  for (const f of family) {
    const d = f.differences, n = f.pairs = d.length;
    f.mean = d.reduce((a, b) => a + b, 0) / n; f.p = f.alike = 1;
    if (n < 2) continue;
    f.raw = Math.sqrt(d.reduce((a, b) => a + (b - f.mean) ** 2, 0) / (n - 1));
    f.deviation = Math.max(f.raw, f.margin / 4);
    const error = f.deviation / Math.sqrt(n);
    f.p = 2 * upperT(Math.abs(f.mean) / error, n - 1);
    f.alike = upperT((f.margin - Math.abs(f.mean)) / error, n - 1);
  }
  const [p, rank] = holm(family.map((f) => f.p)), [alike] = holm(family.map((f) => f.alike));
  family.forEach((f, i) => {
    if (f.pairs < 2) { f.verdict = "open"; return; }
    f.level = LEVEL / (family.length - rank[i]);
    f.verdict = alike[i] < LEVEL ? "tied" : p[i] < LEVEL ? (f.mean > 0 ? "better" : "worse") : "open";
    if (f.pairs < FEWEST_PAIRS) f.verdict = "open";
  });
}
