// Check KQL queries with Microsoft's own language service, offline: syntax, names, functions and their types.
// Standard input: {"name": "query", ...}. Standard output: a list of findings as JSON. The package is
// @kusto/language-service-next, from dev/node_modules.
const NAME = '@kusto/language-service-next';

// Columns of Application Insights that the queries may use (learn.microsoft.com/azure/azure-monitor/app/data-model-complete).
const TABLES = {
  traces: '(timestamp: datetime, message: string, severityLevel: int, customDimensions: dynamic, operation_Name: string)',
  requests: '(timestamp: datetime, name: string, success: string, resultCode: string, duration: real, operation_Name: string)',
};

require(`${NAME}/bridge.min.js`);
require(`${NAME}/Kusto.Language.Bridge.min.js`);
const { GlobalState, KustoCode, Symbols } = globalThis.Kusto.Language;

const tables = Object.entries(TABLES).map(([name, columns]) => Symbols.TableSymbol.From(columns).WithName(name));
const database = new Symbols.DatabaseSymbol.$ctor1('insights', globalThis.System.Array.init(tables, Symbols.Symbol));
const globals = GlobalState.Default.WithDatabase(database);

const findings = [];
for (const [name, query] of Object.entries(JSON.parse(require('fs').readFileSync(0, 'utf8')))) {
  const diagnostics = KustoCode.ParseAndAnalyze(query, globals).GetDiagnostics();
  for (let i = 0; i < diagnostics.Count; i++) {
    findings.push(`${name}: ${diagnostics.getItem(i).Message}`);
  }
}
console.log(JSON.stringify(findings));
