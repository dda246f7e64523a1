metadata name = 'Ketline, classical environment'
metadata description = 'Storage, metadata database, telemetry and the Function App that serves Ketline, under one managed identity and without a stored secret.'

targetScope = 'resourceGroup'

@description('Required. Name of the environment, for example dev or prod. Every resource name ends in it or is derived from it.')
@minLength(2)
@maxLength(12)
param environmentName string

@description('Optional. Azure region.')
param location string = resourceGroup().location

@description('Optional. Tags of every resource.')
param tags object = {}

@description('Optional. Redundancy of the storage account.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSku string = 'Standard_ZRS'

@description('Optional. Days for which deleted blobs can be brought back.')
@minValue(1)
@maxValue(365)
param softDeleteDays int = 14

@description('Optional. Days for which logs are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Optional. Compute size of the metadata database.')
param databaseSku string = 'Standard_B1ms'

@description('Optional. Compute tier of the metadata database.')
@allowed(['Burstable', 'GeneralPurpose', 'MemoryOptimized'])
param databaseTier string = 'Burstable'

@description('Optional. Disk of the metadata database in GiB.')
@allowed([32, 64, 128, 256, 512, 1024])
param databaseStorageGB int = 32

@description('Optional. Days for which database backups are kept.')
@minValue(7)
@maxValue(35)
param databaseBackupDays int = 7

@description('Required. Object id of the Entra group or user that administers the database.')
@minLength(36)
@maxLength(36)
param databaseAdministratorObjectId string

@description('Required. Name of that group or user.')
@minLength(1)
param databaseAdministratorName string

@description('Optional. Whether the administrator is a Group, a User or a ServicePrincipal.')
@allowed(['Group', 'User', 'ServicePrincipal'])
param databaseAdministratorType string = 'Group'

@description('Optional. Lets Azure services reach the database, which the Function App needs while it has no network of its own; each caller still needs an Entra identity of the database.')
param databaseAllowAzureServices bool = true

@description('Optional. Memory of one instance in MB.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('Optional. The most instances; each holds up to three database connections.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Optional. Instances that stay warm for HTTP.')
@minValue(0)
@maxValue(100)
param alwaysReadyHttp int = 0

@description('Required. Application id (or its URI) that callers ask Entra tokens for.')
@minLength(1)
param entraAudience string

@description('Optional. Resource id of the quantum workspace that this environment may use; empty for the local one.')
param quantumWorkspaceId string = ''

@description('Optional. Guards the storage account and the database against deletion.')
param protect bool = false

@description('Optional. Leaves role assignments to somebody who may make them.')
param skipRoleAssignments bool = false

var suffix = uniqueString(resourceGroup().id, environmentName)
var baseName = 'ketline-${environmentName}'
var allTags = union({ application: 'ketline', environment: environmentName }, tags)
var storageName = 'ketline${take(suffix, 13)}'
var blobContainer = 'ketline'
var packageContainer = 'packages'

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${baseName}-app'
  location: location
  tags: allTags
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  params: {
    name: storageName
    location: location
    tags: allTags
    skuName: storageSku
    softDeleteDays: softDeleteDays
    containers: [blobContainer, packageContainer]
    queues: ['ketline-jobs', 'ketline-jobs-poison']
  }
}

module observability 'modules/observability.bicep' = {
  name: 'observability'
  params: { name: baseName, location: location, tags: allTags, retentionDays: logRetentionDays }
}

module database 'modules/database.bicep' = {
  name: 'database'
  params: {
    name: '${baseName}-${take(suffix, 8)}'
    location: location
    tags: allTags
    skuName: databaseSku
    skuTier: databaseTier
    storageSizeGB: databaseStorageGB
    backupRetentionDays: databaseBackupDays
    administratorObjectId: databaseAdministratorObjectId
    administratorName: databaseAdministratorName
    administratorType: databaseAdministratorType
    allowAzureServices: databaseAllowAzureServices
  }
}

module roles 'modules/roles.bicep' = if (!skipRoleAssignments) {
  name: 'roles'
  params: {
    principalId: identity.properties.principalId
    storageAccountName: storage.outputs.name
    insightsName: observability.outputs.insightsName
  }
}

module app 'modules/function-app.bicep' = {
  name: 'function-app'
  params: {
    name: '${baseName}-${take(suffix, 8)}'
    location: location
    tags: allTags
    identityResourceId: identity.id
    identityClientId: identity.properties.clientId
    storageAccountName: storage.outputs.name
    packageContainerUrl: '${storage.outputs.blobEndpoint}${packageContainer}'
    insightsConnectionString: observability.outputs.connectionString
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReadyHttp: alwaysReadyHttp
    settings: {
      KETLINE_DATABASE: 'postgres://${uriComponent(identity.name)}@${database.outputs.host}:5432/${database.outputs.database}'
      KETLINE_DATABASE_ENTRA: 'true'
      KETLINE_DATABASE_POOL: '3'
      KETLINE_BLOBS: 'azure:${storage.outputs.blobEndpoint}${blobContainer}'
      KETLINE_QUEUES: 'azure:${storage.outputs.queueEndpoint}'
      KETLINE_QUANTUM_WORKSPACE: empty(quantumWorkspaceId) ? 'local' : quantumWorkspaceId
      KETLINE_ENTRA_TENANT_ID: tenant().tenantId
      KETLINE_ENTRA_AUDIENCE: entraAudience
      KETLINE_DATA: '/tmp/ketline'
    }
  }
  dependsOn: [roles]
}

resource storageAccount 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: storageName
}

resource storageLock 'Microsoft.Authorization/locks@2020-05-01' = if (protect) {
  name: 'ketline-protect'
  scope: storageAccount
  properties: { level: 'CanNotDelete', notes: 'Holds the artifacts and datasets of this environment.' }
  dependsOn: [storage]
}

@description('Address of the platform.')
output url string = app.outputs.url

@description('Name of the Function App, for deploying the package.')
output functionAppName string = app.outputs.name

@description('Name of the storage account.')
output storageAccountName string = storage.outputs.name

@description('Name of the database server.')
output databaseServerName string = database.outputs.name

@description('Name of the identity, which is also its user name in the database.')
output identityName string = identity.name

@description('Object id of the identity, for giving it rights elsewhere, such as on a quantum workspace.')
output identityPrincipalId string = identity.properties.principalId
