metadata description = 'Lets the workspace use its storage, and the submitters use the workspace and the storage of their jobs.'

@description('Required. Name of the storage account of the workspace.')
param storageAccountName string

@description('Required. Name of the workspace.')
param workspaceName string

@description('Required. Object id of the identity of the workspace.')
param workspacePrincipalId string

@description('Required. Object ids of the identities that may submit jobs.')
param submitterPrincipalIds string[]

var storageAccountContributor = '17d1049b-9a84-46fb-8f53-869881c3d3ab'
var storageBlobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
var quantumWorkspaceDataContributor = 'c1410b24-3e69-4857-8f86-4d0a2e603250'

resource storage 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: storageAccountName
}

resource workspace 'Microsoft.Quantum/workspaces@2025-12-15-preview' existing = {
  name: workspaceName
}

resource workspaceManagesStorage 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(storage.id, workspacePrincipalId, storageAccountContributor)
  scope: storage
  properties: {
    principalId: workspacePrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageAccountContributor)
  }
}

resource workspaceWritesBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(storage.id, workspacePrincipalId, storageBlobDataContributor)
  scope: storage
  properties: {
    principalId: workspacePrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataContributor)
  }
}

resource submittersUseWorkspace 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for principalId in submitterPrincipalIds: {
    name: guid(workspace.id, principalId, quantumWorkspaceDataContributor)
    scope: workspace
    properties: {
      principalId: principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', quantumWorkspaceDataContributor)
    }
  }
]

resource submittersWriteBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for principalId in submitterPrincipalIds: {
    name: guid(storage.id, principalId, storageBlobDataContributor)
    scope: storage
    properties: {
      principalId: principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataContributor)
    }
  }
]
