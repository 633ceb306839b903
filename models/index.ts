// The registry is a separate file, so that a page which imports one model bundles only that one.

export type {
  ChoiceSetting,
  NumberSetting,
  NumbersSetting,
  Range,
  Role,
  Setting,
  SettingAbout,
  SettingDetails,
  SettingField,
  SwitchSetting,
  TextSetting,
} from '../src/settings/setting.ts'
export { type CCTConfig, cct } from './cct.ts'
export { type GPTConfig, gpt } from './gpt.ts'
export { type LeNetConfig, lenet } from './lenet.ts'
export { type MLPConfig, mlp } from './mlp.ts'
export { buildModel, MODELS, type ModelName } from './registry.ts'
export { type ResNetConfig, resnet } from './resnet.ts'
export { type ViTConfig, vit } from './vit.ts'
