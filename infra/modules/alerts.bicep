// Azure Monitor tells a person when leads are in trouble. The app finds most of it by itself and says so in `alert`
// events; two rules watch over the app, also for the case that it says nothing any more.
// Every event and field is one of leads/log.py: tests/infra/test_queries.py holds the two together.

@description('Where it is created.')
param location string

@description('Tags of every resource.')
param tags { *: string }

@description('Start of the names of the rules.')
param prefix string

@description('Whom to tell.')
param email string

@description('How often the rules look.')
param every string

@description('After how long a silence of the watch is an alert.')
param watchSilence string

@description('Resource id of Application Insights.')
param insightsId string

@description('Resource id of the function app.')
param appId string

@description('The address of the operators\' page, with a slash at its end.')
param page string

@description('Whether leads come by HTTPS.')
param httpsWay bool

var events = '''
traces
| where message startswith '{"event"'
| extend e = parse_json(message)
| extend event = tostring(e.event)
'''

var reported = '''
| project timestamp, subject = tostring(e.subject), number = toint(e['count']), since = tostring(e.since),
    cause = tostring(e.cause), remedy = tostring(e.remedy)
'''

var reports = [
  {
    name: 'dead'
    severity: 1
    title: 'Leads: deliveries are dead'
    text: 'A destination refused a lead for good, or never took it while the retry schedule lasted. Look at them and send them again: ${page}leads?state=dead (or python -m leads replay --dead).'
    query: '| where event == "alert" and tostring(e.kind) == "dead"'
  }
  {
    name: 'misconfigured'
    severity: 1
    title: 'Leads: a destination is misconfigured'
    text: 'A setting, a secret or a permission must be corrected. Leads are kept and tried again. What is wrong: ${page}check (or python -m leads check).'
    query: '| where event == "alert" and tostring(e.kind) == "misconfigured"'
  }
  {
    name: 'quarantine'
    severity: 2
    title: 'Leads: something that could not be read is in quarantine'
    text: 'Something arrived that could not be read as a lead. It is kept, except what is over 256 KiB, of which the alert names the size. Look at it: ${page}quarantine (or python -m leads list --quarantined).'
    query: '| where event == "alert" and tostring(e.kind) == "quarantine"'
  }
  {
    name: 'settings'
    severity: 2
    title: 'Leads: settings are wrong, an offer is not connected, or no lead comes'
    text: 'With wrong settings the app runs on with defaults. Leads of an offer that goes elsewhere never reach it. What is wrong: ${page}check and ${page}offers (or python -m leads check, and python -m leads offers).'
    query: '| where event == "alert" and (tostring(e.kind) == "settings" or tostring(e.kind) == "offer" or tostring(e.kind) == "silence")'
  }
]

var watches = [
  {
    name: 'oldest-open'
    severity: 2
    title: 'Leads: one has been open for more than an hour'
    text: 'A lead has not reached all its destinations for more than an hour. It is tried again on the schedule. Look at them: ${page}leads?state=open (or python -m leads list --open). A value of 86400 says that nobody knows: the sweep, which also finds what the other alerts tell, has not run, or has failed each time, for half an hour. What is wrong: ${page}check (or python -m leads check).'
    query: '''
| where event in ("sweep_ran", "sweep_failed")
| summarize runs = countif(event == "sweep_ran"), failures = countif(event == "sweep_failed"), oldest = max(todouble(e.oldest_open_seconds))
| project measure = iff(failures >= runs, 86400.0, coalesce(oldest, 0.0))
'''
    operator: 'GreaterThan'
    threshold: 3600
    window: 'PT30M'
  }
  {
    name: 'watch-silent'
    severity: 1
    title: 'Leads: the watch is silent'
    text: 'A table has not been read: the app is down, cannot reach the inbox, or its logs have reached their daily cap. Leads stay in the table until it runs again. What is wrong: ${page}check (or python -m leads check).'
    query: '''
| summarize runs = countif(event == "watch_ran"), told = countif(event == "alert" and tostring(e.kind) == "watch_silent")
| project measure = iff(told > 0, 0.0, todouble(runs))
'''
    operator: 'LessThan'
    threshold: 1
    window: watchSilence
  }
]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: '${prefix}-people'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: take('${prefix}-people', 12)
    emailReceivers: [
      {
        name: 'operator'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

// Azure would refuse a rule on tables that no log has reached yet: the queries are validated by the tests instead.
// The window is longer than the pause between two looks, since logs arrive some minutes late. A rule that has fired
// stays fired and sends nothing more until its cause is gone.
resource reportRules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in reports: {
    name: '${prefix}-${rule.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: rule.title
      description: rule.text
      severity: rule.severity
      enabled: true
      scopes: [insightsId]
      evaluationFrequency: every
      windowSize: 'PT30M'
      autoMitigate: true
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: '${events}${rule.query}\n${reported}'
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            dimensions: [
              {
                name: 'subject'
                operator: 'Include'
                values: ['*']
              }
            ]
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      actions: {
        actionGroups: [people.id]
      }
    }
  }
]

resource watchRules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in watches: {
    name: '${prefix}-${rule.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: rule.title
      description: rule.text
      severity: rule.severity
      enabled: true
      scopes: [insightsId]
      evaluationFrequency: every
      windowSize: rule.window
      autoMitigate: true
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: '${events}${rule.query}'
            metricMeasureColumn: 'measure'
            timeAggregation: 'Maximum'
            operator: rule.operator
            threshold: rule.threshold
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      actions: {
        actionGroups: [people.id]
      }
    }
  }
]

// A request that Microsoft does not send again: what was answered with 5xx may be lost. This one knows that it was a
// lead, and sees only what reached the app; siteRules see what Azure answered in its place, and not what was asked.
resource refused 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: '${prefix}-refused'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'Leads: a lead was answered with an error'
    description: 'A lead could not be made durable and was answered with 5xx. It may have arrived all the same. Compare with Referrals in Partner Center, and import what is missing: docs/operations.md. This rule sees what the app itself answered. What Azure answered in its place is told by the rules site-5xx and site-401.'
    severity: 0
    enabled: true
    scopes: [insightsId]
    evaluationFrequency: every
    windowSize: 'PT30M'
    autoMitigate: true
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: 'requests\n| where operation_Name == "receive_lead" and toint(resultCode) >= 500'
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: [people.id]
    }
  }
}

// Where leads come by table, a stranger without a key is no news.
var statuses = concat(
  [
    {
      name: 'site-5xx'
      metric: 'Http5xx'
      severity: 1
      text: 'The app, or Azure in its place, answered a call with 5xx. If it was a lead, Microsoft may not send it again. Compare with Referrals in Partner Center, and import what is missing: docs/operations.md.'
    }
  ],
  httpsWay
    ? [
        {
          name: 'site-401'
          metric: 'Http401'
          severity: 1
          text: 'A call was turned away for its key. Somebody has a wrong one, or Azure answered before it had loaded the keys of an app that just started. If it was a lead, Microsoft may not send it again. Compare with Referrals in Partner Center, and import what is missing: docs/operations.md.'
        }
      ]
    : []
)

resource siteRules 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for status in statuses: {
    name: '${prefix}-${status.name}'
    location: 'global'
    tags: tags
    properties: {
      description: status.text
      severity: status.severity
      enabled: true
      scopes: [appId]
      evaluationFrequency: 'PT5M'
      windowSize: 'PT15M'
      autoMitigate: true
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            criterionType: 'StaticThresholdCriterion'
            name: status.name
            metricNamespace: 'Microsoft.Web/sites'
            metricName: status.metric
            timeAggregation: 'Total'
            operator: 'GreaterThan'
            threshold: 0
          }
        ]
      }
      actions: [
        {
          actionGroupId: people.id
        }
      ]
    }
  }
]
