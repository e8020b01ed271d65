/// The model files that ship with beit-seg: resources of this module, which build systems put beside the executable.
package enum ShippedModels {}
