metadata description = 'The metadata database: PostgreSQL with Entra identities only, no passwords.'

@description('Required. Name of the server: 3 to 63 lower-case letters, digits and hyphens.')
@minLength(3)
@maxLength(63)
param name string

@description('Required. Azure region.')
param location string

@description('Required. Tags of every resource.')
param tags object

@description('Required. Compute size, for example Standard_B1ms.')
param skuName string

@description('Required. Compute tier, for example Burstable.')
param skuTier string

@description('Required. Disk size in GiB.')
param storageSizeGB int

@description('Required. Days for which backups are kept.')
param backupRetentionDays int

@description('Required. Object id of the Entra group or user that administers the server.')
param administratorObjectId string

@description('Required. Name of that group or user.')
param administratorName string

@description('Required. Whether the administrator is a Group, a User or a ServicePrincipal.')
param administratorType string

@description('Required. Lets Azure services of any subscription reach the server; each still needs an Entra identity of this database.')
param allowAzureServices bool

resource server 'Microsoft.DBforPostgreSQL/flexibleServers@2025-08-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: skuName, tier: skuTier }
  properties: {
    version: '17'
    createMode: 'Default'
    storage: { storageSizeGB: storageSizeGB, autoGrow: 'Enabled' }
    backup: { backupRetentionDays: backupRetentionDays, geoRedundantBackup: 'Disabled' }
    authConfig: { activeDirectoryAuth: 'Enabled', passwordAuth: 'Disabled', tenantId: tenant().tenantId }
    highAvailability: { mode: 'Disabled' }
  }
}

resource database 'Microsoft.DBforPostgreSQL/flexibleServers/databases@2025-08-01' = {
  parent: server
  name: 'ketline'
  properties: { charset: 'UTF8', collation: 'en_US.utf8' }
}

// The server takes one change at a time: children follow one another.
resource secureTransport 'Microsoft.DBforPostgreSQL/flexibleServers/configurations@2025-08-01' = {
  parent: server
  name: 'require_secure_transport'
  properties: { value: 'on', source: 'user-override' }
  dependsOn: [database]
}

resource administrator 'Microsoft.DBforPostgreSQL/flexibleServers/administrators@2025-08-01' = {
  parent: server
  name: administratorObjectId
  properties: {
    principalName: administratorName
    principalType: administratorType
    tenantId: tenant().tenantId
  }
  dependsOn: [secureTransport]
}

resource azureServices 'Microsoft.DBforPostgreSQL/flexibleServers/firewallRules@2025-08-01' = if (allowAzureServices) {
  parent: server
  name: 'AllowAllAzureServicesAndResourcesWithinAzureIps'
  properties: { startIpAddress: '0.0.0.0', endIpAddress: '0.0.0.0' }
  dependsOn: [administrator]
}

@description('Name of the server.')
output name string = server.name

@description('Address of the server.')
output host string = server.properties.fullyQualifiedDomainName

@description('Name of the database.')
output database string = database.name
