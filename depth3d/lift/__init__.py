"""From pixels to points: unprojection, edges, normals, clouds, meshes."""
