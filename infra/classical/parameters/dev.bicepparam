using '../main.bicep'

param environmentName = 'dev'
param storageSku = 'Standard_LRS'
param databaseAdministratorObjectId = '00000000-0000-0000-0000-000000000001'
param databaseAdministratorName = 'ketline-admins'
param entraAudience = 'api://ketline-dev'
