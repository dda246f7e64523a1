metadata name = 'Ketline, quantum environment'
metadata description = 'An Azure Quantum workspace with its own storage account and identity, apart from the classical resources and rarely redeployed.'

targetScope = 'resourceGroup'

@description('A provider of quantum targets. Its terms must have been accepted in the subscription.')
type provider = {
  @description('Required. Id of the provider, for example ionq.')
  @minLength(1)
  providerId: string

  @description('Required. Plan of the provider, for example pay-as-you-go-cred.')
  @minLength(1)
  providerSku: string
}

@description('Required. Name of the environment, for example dev or prod.')
@minLength(2)
@maxLength(12)
param environmentName string

@description('Optional. Azure region; not every region offers every provider.')
param location string = resourceGroup().location

@description('Optional. Tags of every resource.')
param tags object = {}

@description('Required. The providers to add; at least one.')
@minLength(1)
param providers provider[]

@description('Optional. Object ids of the identities that may submit jobs, such as that of the classical environment.')
param submitterPrincipalIds string[] = []

@description('Optional. Days for which deleted blobs can be brought back.')
@minValue(1)
@maxValue(365)
param softDeleteDays int = 14

@description('Optional. Guards the workspace and its storage against deletion.')
param protect bool = true

@description('Optional. Leaves role assignments to somebody who may make them.')
param skipRoleAssignments bool = false

var suffix = uniqueString(resourceGroup().id, environmentName)
var allTags = union({ application: 'ketline', environment: environmentName }, tags)
var storageName = 'ketlineq${take(suffix, 13)}'

// Azure Quantum works with the Standard tier only, and reaches it by the workspace's identity.
resource storage 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: storageName
  location: location
  tags: allTags
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: 'Enabled'
    networkAcls: { bypass: 'AzureServices', defaultAction: 'Allow' }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: storage
  name: 'default'
  properties: {
    deleteRetentionPolicy: { enabled: true, days: softDeleteDays }
    containerDeleteRetentionPolicy: { enabled: true, days: softDeleteDays }
  }
}

resource workspace 'Microsoft.Quantum/workspaces@2025-12-15-preview' = {
  name: 'ketline-${environmentName}-${take(suffix, 8)}'
  location: location
  tags: allTags
  identity: { type: 'SystemAssigned' }
  properties: {
    apiKeyEnabled: false
    workspaceKind: 'V2'
    storageAccount: storage.id
    providers: [
      for item in providers: {
        providerId: item.providerId
        providerSku: item.providerSku
        applicationName: 'ketline-${environmentName}-${item.providerId}'
      }
    ]
  }
}

module roles 'modules/roles.bicep' = if (!skipRoleAssignments) {
  name: 'roles'
  params: {
    storageAccountName: storage.name
    workspaceName: workspace.name
    workspacePrincipalId: workspace.identity.principalId
    submitterPrincipalIds: submitterPrincipalIds
  }
}

resource workspaceLock 'Microsoft.Authorization/locks@2020-05-01' = if (protect) {
  name: 'ketline-protect'
  scope: workspace
  properties: { level: 'CanNotDelete', notes: 'Quotas and accepted terms are tied to this workspace.' }
}

resource storageLock 'Microsoft.Authorization/locks@2020-05-01' = if (protect) {
  name: 'ketline-protect'
  scope: storage
  properties: { level: 'CanNotDelete', notes: 'Holds the inputs and results of quantum jobs.' }
}

@description('Resource id of the workspace: the value of KETLINE_QUANTUM_WORKSPACE.')
output workspaceResourceId string = workspace.id

@description('Name of the workspace.')
output workspaceName string = workspace.name

@description('Address of the data plane.')
output endpointUri string = workspace.properties.endpointUri

@description('Name of the storage account of the workspace.')
output storageAccountName string = storage.name
