using '../main.bicep'

param environmentName = 'prod'
param databaseSku = 'Standard_D2ds_v5'
param databaseTier = 'GeneralPurpose'
param databaseStorageGB = 128
param databaseBackupDays = 35
param databaseAdministratorObjectId = '00000000-0000-0000-0000-000000000001'
param databaseAdministratorName = 'ketline-admins'
param entraAudience = 'api://ketline'
param alwaysReadyHttp = 1
param softDeleteDays = 90
param logRetentionDays = 180
param protect = true
