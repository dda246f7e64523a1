metadata description = 'Where logs, traces and metrics go: a Log Analytics workspace and Application Insights on top of it, with identities only.'

@description('Required. Name of both resources.')
param name string

@description('Required. Azure region.')
param location string

@description('Required. Tags of every resource.')
param tags object

@description('Required. Days for which logs are kept.')
param retentionDays int

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: '${name}-logs'
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: retentionDays
    features: { disableLocalAuth: true }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: '${name}-insights'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    DisableLocalAuth: true
  }
}

@description('Name of the Application Insights resource.')
output insightsName string = insights.name

@description('Resource id of the Log Analytics workspace.')
output workspaceResourceId string = workspace.id

@description('Where telemetry is sent. It names the resource and carries no right to write there.')
output connectionString string = insights.properties.ConnectionString
